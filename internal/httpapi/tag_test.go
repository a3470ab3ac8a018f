package httpapi_test

import (
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

// Names of versions over the API, also of a job whose ID holds slashes.
func TestTagVersion(t *testing.T) {
	w := newWorld(t)
	for _, count := range []int{1, 2, 3} {
		w.send("PUT", "/v1/jobs", jobBody("team/web", count), nil)
	}
	var res api.JobTagResponse
	w.send("PUT", "/v1/job/team%2Fweb/versions/golden/tag", `{"Version":1,"Description":"works"}`, &res)
	if res.Name != "golden" || res.Description != "works" || res.TaggedTime == 0 || res.Index == 0 {
		t.Errorf("answer %+v", res)
	}
	var out api.JobVersionsResponse
	w.get("/v1/job/team%2Fweb/versions?diff_tag=golden", &out)
	if v := out.Versions[1]; v.VersionTag == nil || v.VersionTag.Name != "golden" || out.Versions[0].VersionTag != nil {
		t.Errorf("versions %+v", out.Versions)
	}
	for i, want := range []string{api.DiffEdited, api.DiffNone, api.DiffEdited} {
		if out.Diffs[i].Type != want {
			t.Errorf("diff %d to the tag is %s, want %s", i, out.Diffs[i].Type, want)
		}
	}
	for path, want := range map[string]struct {
		body, text string
		status     int
	}{
		"/v1/job/team%2Fweb/versions/golden/tag":                           {`{"Version":2}`, "version 1", 409},
		"/v1/job/team%2Fweb/versions/other/tag":                            {`{"Version":9}`, "version 9", 404},
		"/v1/job/none/versions/other/tag":                                  {`{}`, "job not found", 404},
		"/v1/job/team%2Fweb/versions/a%20b/tag":                            {`{}`, "spaces", 400},
		"/v1/job/team%2Fweb/versions/" + strings.Repeat("x", 129) + "/tag": {`{}`, "129 bytes", 400},
		"/v1/job/team%2Fweb/versions/odd/tag":                              {`{"Version":"2"}`, "field Version", 400},
	} {
		if status, text, _ := w.call("PUT", path, want.body); status != want.status || !strings.Contains(text, want.text) {
			t.Errorf("%s: %d %s, want %d %s", path, status, text, want.status, want.text)
		}
	}
	w.send("DELETE", "/v1/job/team%2Fweb/versions/golden/tag", "", nil)
	if status, text, _ := w.call("DELETE", "/v1/job/team%2Fweb/versions/golden/tag", ""); status != 404 || !strings.Contains(text, "golden") {
		t.Errorf("taken away twice: %d %s", status, text)
	}
	if status, text, _ := w.call("GET", "/v1/job/team%2Fweb/versions?diff_tag=golden", ""); status != 404 || !strings.Contains(text, "golden") {
		t.Errorf("difference to what is not there: %d %s", status, text)
	}
	if status, _, _ := w.call("GET", "/v1/job/team%2Fweb/versions/golden/tag", ""); status != 405 {
		t.Errorf("GET: %d", status)
	}
}
