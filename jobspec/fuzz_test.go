package jobspec_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/jobspec"
)

// FuzzParse holds that any text is a job or an error of the caller's, and
// that any job can be completed, checked, copied and compared.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if filepath.Ext(name) != ".err" && len(src) < 4096 {
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		job, err := jobspec.Parse("fuzz", src, jobspec.Options{})
		if err != nil {
			if c := api.ErrorCode(err); c != api.CodeInvalid && c != api.CodeTooLarge {
				t.Fatalf("code %s: %v", c, err)
			}
			return
		}
		job.Canonicalize()
		if _, err := job.Validate(); err != nil && api.ErrorCode(err) != api.CodeInvalid {
			t.Fatal(err)
		}
		if d := api.DiffJobs(job, job.Copy()); d.Type != api.DiffNone {
			t.Fatal("a copy differs")
		}
	})
}
