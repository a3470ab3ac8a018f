package store_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

func versionsOf(w *world, id string) []uint64 {
	var out []uint64
	for _, j := range w.Store.Snapshot().JobVersions("default", id) {
		out = append(out, j.Version)
	}
	return out
}

// A version with a name outlives those around it and counts not against them;
// without its name it goes with the next registration.
func TestTaggedVersionsAreKept(t *testing.T) {
	w := newWorld(t)
	register := func(count, keep int) {
		j := testJob("web")
		j.TaskGroups[0].Count = &count
		w.do(&store.RegisterJob{Job: j, Keep: keep, Now: now})
	}
	for i := range 3 {
		register(i, 0)
	}
	w.do(&store.TagJobVersion{Namespace: "default", JobID: "web", Version: 1, Tag: api.JobVersionTag{Name: "good", TaggedTime: now}})
	before := w.Store.Snapshot().Job("default", "web")
	w.do(&store.TagJobVersion{Namespace: "default", JobID: "web", Latest: true, Tag: api.JobVersionTag{Name: "first-try"}})
	after := w.Store.Snapshot().Job("default", "web")
	if after.VersionTag == nil || after.JobModifyIndex != before.JobModifyIndex || after.ModifyIndex <= before.ModifyIndex || before.VersionTag != nil {
		t.Errorf("tag of the current version: %+v, then %+v", before, after)
	}
	for i := range 10 {
		register(10+i, 0)
	}
	if got := versionsOf(w, "web"); !slices.Equal(got, []uint64{12, 11, 10, 9, 8, 7, 2, 1}) {
		t.Errorf("kept %v", got)
	}
	if w.Store.Snapshot().Job("default", "web").VersionTag != nil {
		t.Error("a new version has the name of an old one")
	}
	w.do(&store.UntagJobVersion{Namespace: "default", JobID: "web", Name: "good"})
	register(30, 2)
	if got := versionsOf(w, "web"); !slices.Equal(got, []uint64{13, 12, 2}) {
		t.Errorf("kept %v", got)
	}
}

func TestTagsAreRefused(t *testing.T) {
	w := newWorld(t)
	tag := func(version uint64, name string) error {
		_, err := w.Propose(t.Context(), &store.TagJobVersion{Namespace: "default", JobID: "web", Version: version, Tag: api.JobVersionTag{Name: name}})
		return err
	}
	if err := tag(0, "a"); api.ErrorCode(err) != api.CodeNotFound {
		t.Errorf("no job: %v", err)
	}
	for i := range api.MaxJobTags + 2 {
		j := testJob("web")
		j.TaskGroups[0].Count = &i
		w.do(&store.RegisterJob{Job: j, Now: now})
		if i < api.MaxJobTags {
			if err := tag(uint64(i), strconv.Itoa(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tag(uint64(api.MaxJobTags), "more"); api.ErrorCode(err) != api.CodeConflict {
		t.Errorf("a name too many: %v", err)
	}
	if err := tag(0, "1"); api.ErrorCode(err) != api.CodeConflict {
		t.Errorf("a name that another version has: %v", err)
	}
	if err := tag(0, "renamed"); err != nil {
		t.Errorf("a second name in place of the first: %v", err)
	}
	w.do(&store.UntagJobVersion{Namespace: "default", JobID: "web", Name: "3"})
	if err := tag(999, "x"); api.ErrorCode(err) != api.CodeNotFound {
		t.Errorf("no such version: %v", err)
	}
	if _, err := w.Propose(t.Context(), &store.UntagJobVersion{Namespace: "default", JobID: "web", Name: "0"}); api.ErrorCode(err) != api.CodeNotFound {
		t.Errorf("a name that was replaced: %v", err)
	}
}
