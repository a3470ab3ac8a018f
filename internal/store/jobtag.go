package store

import (
	"slices"

	"github.com/drover-org/drover/api"
)

// TagJobVersion names a version of a job, which is kept from then on. A version
// has one name, which a new one replaces; a name that another version has is
// refused.
type TagJobVersion struct {
	Namespace string
	JobID     string
	Version   uint64
	Latest    bool // the current version, whatever Version says
	Tag       api.JobVersionTag
}

func (c *TagJobVersion) apply(t *tx) (any, error) {
	row := t.editJob(c.Namespace, c.JobID)
	if row == nil {
		return nil, notFound("job", c.JobID)
	}
	version := c.Version
	if c.Latest {
		version = row.job().Version
	}
	tagged := 0
	for _, j := range row.versions {
		switch {
		case j.VersionTag == nil || j.Version == version:
		case j.VersionTag.Name == c.Tag.Name:
			return nil, api.Errorf(api.CodeConflict, "the name %q is that of version %d of job %q: take it from there first", c.Tag.Name, j.Version, c.JobID)
		default:
			tagged++
		}
	}
	if tagged >= api.MaxJobTags {
		return nil, api.Errorf(api.CodeConflict, "job %q has %d versions with a name, which is the most there may be: take the name from one of them first", c.JobID, tagged)
	}
	tag := c.Tag
	if err := t.editVersion(row, c.Namespace, c.JobID, version, func(j *api.Job) { j.VersionTag = &tag }); err != nil {
		return nil, err
	}
	return &tag, nil
}

// UntagJobVersion takes a name from the version that has it.
type UntagJobVersion struct {
	Namespace string
	JobID     string
	Name      string
}

func (c *UntagJobVersion) apply(t *tx) (any, error) {
	row := t.editJob(c.Namespace, c.JobID)
	if row == nil {
		return nil, notFound("job", c.JobID)
	}
	for _, j := range row.versions {
		if j.VersionTag != nil && j.VersionTag.Name == c.Name {
			return nil, t.editVersion(row, c.Namespace, c.JobID, j.Version, func(j *api.Job) { j.VersionTag = nil })
		}
	}
	return nil, api.Errorf(api.CodeNotFound, "no version of job %q has the name %q", c.JobID, c.Name)
}

// editVersion changes a copy of one version of row, which is the command's own.
func (t *tx) editVersion(row *jobRow, ns, id string, version uint64, edit func(*api.Job)) error {
	at := slices.IndexFunc(row.versions, func(j *api.Job) bool { return j.Version == version })
	if at < 0 {
		return api.Errorf(api.CodeNotFound, "job version not found: version %d of job %q is not kept", version, id)
	}
	j := *row.versions[at]
	edit(&j)
	j.ModifyIndex = t.index
	row.versions = slices.Clone(row.versions)
	row.versions[at] = &j
	t.putJob(ns, id, row)
	t.touchJob(ns, id)
	return nil
}
