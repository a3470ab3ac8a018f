package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// registry is a small OCI registry with one image, busybox, under any name
// and tag. 127.0.0.1 counts as trusted with the Engine, so http is enough.
type registry struct {
	host      string
	blobs     map[string][]byte
	manifest  []byte
	user      string // empty: open to everybody
	password  string
	manifests atomic.Int32  // requests
	hold      chan struct{} // when set, layers wait for it to be closed
}

func newRegistry(t *testing.T) *registry {
	r := &registry{blobs: map[string][]byte{}}
	layer, diffID := busyboxLayer(t)
	config := mustJSON(map[string]any{
		"architecture": "amd64", "os": "linux",
		"config":  map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"/bin/busybox", "sh"}, "Labels": map[string]string{"unique": t.Name() + fmt.Sprint(os.Getpid())}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{diffID}},
		"history": []any{},
	})
	const docker = "application/vnd.docker."
	r.manifest = mustJSON(map[string]any{
		"schemaVersion": 2, "mediaType": docker + "distribution.manifest.v2+json",
		"config": map[string]any{"mediaType": docker + "container.image.v1+json", "size": len(config), "digest": r.add(config)},
		"layers": []any{map[string]any{"mediaType": docker + "image.rootfs.diff.tar.gzip", "size": len(layer), "digest": r.add(layer)}},
	})
	r.add(r.manifest)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *registry) add(blob []byte) (digest string) {
	digest = digestOf(blob)
	r.blobs[digest] = blob
	return digest
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// busyboxLayer is a layer of its own for each test, so that the Engine has to
// fetch it.
func busyboxLayer(t *testing.T) (gz []byte, diffID string) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Skipf("no busybox: %v", err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, file := range []struct {
		name string
		data []byte
	}{{"bin/busybox", program}, {"unique", []byte(t.Name() + t.TempDir())}} {
		if err := w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o755, Size: int64(len(file.data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(file.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: "bin/sh", Linkname: "busybox", Typeflag: tar.TypeSymlink, Mode: 0o777}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes(), digestOf(plain.Bytes())
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.user != "" {
		if user, password, ok := req.BasicAuth(); !ok || user != r.user || password != r.password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}`)
			return
		}
	}
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch {
	case req.URL.Path == "/v2/":
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	case len(parts) == 4 && parts[2] == "manifests" && parts[1] != "absent":
		r.manifests.Add(1)
		w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
		w.Header().Set("Docker-Content-Digest", digestOf(r.manifest))
		_, _ = w.Write(r.manifest)
	case len(parts) == 4 && parts[2] == "blobs" && r.blobs[parts[3]] != nil:
		blob := r.blobs[parts[3]]
		if r.hold != nil && len(blob) > 100000 {
			w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
			_, _ = w.Write(blob[:50000])
			w.(http.Flusher).Flush()
			select {
			case <-r.hold:
			case <-req.Context().Done():
				return
			}
			blob = blob[50000:]
		}
		_, _ = w.Write(blob)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such image here"}]}`)
	}
}

func imageHere(t *testing.T, d *Driver, image string) bool {
	t.Helper()
	here, err := d.images.here(deadline(t), image)
	if err != nil {
		t.Fatal(err)
	}
	return here
}
