package savefile_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/drover-org/drover/internal/savefile"
)

func saved(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	err := savefile.Write(&b, "", savefile.Meta{Region: "r", Index: 7}, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	text := strings.Repeat("the state ", 1000)
	meta, state, err := savefile.Read(bytes.NewReader(saved(t, text)), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	got, err := io.ReadAll(state)
	if err != nil || string(got) != text || meta.Index != 7 || meta.Region != "r" || meta.Size != int64(len(text)) {
		t.Errorf("%+v, %d bytes, %v", meta, len(got), err)
	}
}

// Whatever byte is another one, and wherever the file ends, nothing but what was
// saved is handed out.
func TestDamageIsFound(t *testing.T) {
	text := strings.Repeat("the state ", 50)
	whole := saved(t, text)
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x20
		_, state, err := savefile.Read(bytes.NewReader(b), "")
		if err != nil {
			continue
		}
		if got, err := io.ReadAll(state); err != nil || string(got) != text { // there are several ways to compress
			t.Errorf("byte %d of %d changed: %q, %v", i, len(b), got, err)
		}
		_ = state.Close()
	}
	for n := range whole {
		if _, _, err := savefile.Read(bytes.NewReader(whole[:n]), ""); err == nil {
			t.Errorf("the first %d bytes of %d were taken", n, len(whole))
		}
	}
}

func TestPersistFails(t *testing.T) {
	broken := errors.New("broken")
	if err := savefile.Write(io.Discard, "", savefile.Meta{}, func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(saved(f, "x"))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, state, err := savefile.Read(bytes.NewReader(b), ""); err == nil {
			_ = state.Close()
		}
	})
}
