package savefile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Format is what this version writes, and the only one it reads.
const Format = 1

// Bounds of what Read takes.
const (
	maxMeta  = 1 << 20
	maxState = 64 << 30 // far more than a server has memory for
)

// The members of the archive.
const (
	metaName  = "meta.json"
	stateName = "state.bin"
	sumsName  = "SHA256SUMS"
)

// Meta says what a file holds.
type Meta struct {
	Format  int
	Version string // of the program that wrote it
	Region  string
	Index   uint64 // of the state
	Term    uint64
	Created time.Time
	Size    int64          // of the state in bytes
	Counts  map[string]int // of objects, by kind
}

// Write writes a file of the state that persist writes. Size is set here. dir is
// for the temporary file, "" meaning the usual place.
func Write(out io.Writer, dir string, meta Meta, persist func(io.Writer) error) error {
	state, err := Temp(dir)
	if err != nil {
		return err
	}
	defer func() { _ = state.Close() }()
	sum := sha256.New()
	if err := persist(io.MultiWriter(state, sum)); err != nil {
		return err
	}
	if meta.Size, err = state.Seek(0, io.SeekCurrent); err != nil {
		return err
	}
	if _, err = state.Seek(0, io.SeekStart); err != nil {
		return err
	}
	meta.Format = Format
	head, err := json.MarshalIndent(meta, "", "  ")
	if err != nil {
		return err
	}
	sums := fmt.Sprintf("%x  %s\n%x  %s\n", sha256.Sum256(head), metaName, sum.Sum(nil), stateName)
	z := gzip.NewWriter(out)
	t := tar.NewWriter(z)
	for _, m := range []struct {
		name string
		size int64
		from io.Reader
	}{{metaName, int64(len(head)), bytes.NewReader(head)}, {stateName, meta.Size, state}, {sumsName, int64(len(sums)), strings.NewReader(sums)}} {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: m.size, Mode: 0o600, ModTime: meta.Created}); err != nil {
			return err
		}
		if _, err := io.Copy(t, m.from); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

// Read reads a file and checks all of it. state is at its beginning; the caller
// closes it.
func Read(in io.Reader, dir string) (meta *Meta, state *os.File, err error) {
	defer func() {
		if err != nil && state != nil {
			err = errors.Join(err, state.Close())
			state = nil
		}
	}()
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, nil, fmt.Errorf("this is no saved state: %w", err)
	}
	t := tar.NewReader(z)
	head, err := member(t, metaName)
	if err != nil {
		return nil, nil, err
	}
	meta = new(Meta)
	if err := json.Unmarshal(head, meta); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", metaName, err)
	}
	if meta.Format != Format {
		return nil, nil, fmt.Errorf("the file has format %d, this version reads %d", meta.Format, Format)
	}
	h, err := t.Next()
	if err != nil {
		return nil, nil, damaged(stateName, err)
	}
	if h.Name != stateName || h.Typeflag != tar.TypeReg || h.Size != meta.Size || h.Size > maxState {
		return nil, nil, damaged(stateName, fmt.Errorf("%d bytes of %q are not the state of %d bytes", h.Size, h.Name, meta.Size))
	}
	if state, err = Temp(dir); err != nil {
		return nil, nil, err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(state, sum), t); err != nil {
		return nil, state, damaged(stateName, err)
	}
	sums, err := member(t, sumsName)
	if err != nil {
		return nil, state, err
	}
	for name, got := range map[string][]byte{metaName: digestOf(head), stateName: sum.Sum(nil)} {
		if !strings.Contains(string(sums), hex.EncodeToString(got)+"  "+name+"\n") {
			return nil, state, damaged(name, errors.New("its checksum is another one"))
		}
	}
	if _, err := io.Copy(io.Discard, z); err != nil { // the checksum of the compressed whole is at its end
		return nil, state, damaged("the file", err)
	}
	_, err = state.Seek(0, io.SeekStart)
	return meta, state, err
}

func digestOf(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// member reads the next member, which is a small one of that name.
func member(t *tar.Reader, name string) ([]byte, error) {
	h, err := t.Next()
	if err != nil {
		return nil, damaged(name, err)
	}
	if h.Name != name || h.Typeflag != tar.TypeReg || h.Size > maxMeta {
		return nil, damaged(name, fmt.Errorf("%d bytes of %q are there instead", h.Size, h.Name))
	}
	b, err := io.ReadAll(t)
	if err != nil {
		return nil, damaged(name, err)
	}
	return b, nil
}

func damaged(what string, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("the file is damaged or is no saved state: %s: %w", what, err)
}

// Temp makes a file that nobody else can open and that is gone when it is
// closed.
func Temp(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "drover-state-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file for the state: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
