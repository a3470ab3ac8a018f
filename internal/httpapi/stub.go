package httpapi

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// stubShow says what a list of allocations shows.
type stubShow struct {
	resources  bool
	taskStates bool
}

// append appends the list form of an allocation. It writes what encoding/json
// writes for api.AllocListStub, member by member in the same order, without
// reflection: a list of many allocations is the API's most expensive answer.
func (s stubShow) append(b []byte, a *api.Allocation) ([]byte, error) {
	b = textMember(append(b, '{'), `"ID":`, a.ID)
	b = textMember(b, `,"EvalID":`, a.EvalID)
	b = textMember(b, `,"Name":`, a.Name)
	b = textMember(b, `,"Namespace":`, a.Namespace)
	b = textMember(b, `,"NodeID":`, a.NodeID)
	b = textMember(b, `,"NodeName":`, a.NodeName)
	b = textMember(b, `,"JobID":`, a.JobID)
	jobType, jobVersion := "", uint64(0)
	if a.Job != nil {
		jobType, jobVersion = a.Job.Type, a.Job.Version
	}
	b = textMember(b, `,"JobType":`, jobType)
	b = strconv.AppendUint(append(b, `,"JobVersion":`...), jobVersion, 10)
	b = textMember(b, `,"TaskGroup":`, a.TaskGroup)
	if s.resources && a.AllocatedResources != nil {
		var err error
		if b, err = appendJSON(append(b, `,"AllocatedResources":`...), a.AllocatedResources); err != nil {
			return b, err
		}
	}
	b = textMember(b, `,"DesiredStatus":`, a.DesiredStatus)
	b = textMember(b, `,"DesiredDescription":`, a.DesiredDescription)
	b = appendTransition(append(b, `,"DesiredTransition":`...), &a.DesiredTransition)
	b = textMember(b, `,"ClientStatus":`, a.ClientStatus)
	b = textMember(b, `,"ClientDescription":`, a.ClientDescription)
	b = append(b, `,"TaskStates":`...)
	if s.taskStates {
		b = appendTaskStates(b, a.TaskStates)
	} else {
		b = append(b, "null"...)
	}
	b = appendHealth(append(b, `,"DeploymentStatus":`...), a.DeploymentStatus)
	b = textMember(b, `,"FollowupEvalID":`, a.FollowupEvalID)
	b = textMember(b, `,"PreviousAllocation":`, a.PreviousAllocation)
	b = textMember(b, `,"NextAllocation":`, a.NextAllocation)
	b = appendTracker(append(b, `,"RescheduleTracker":`...), a.RescheduleTracker)
	b = appendTexts(append(b, `,"PreemptedAllocations":`...), a.PreemptedAllocations)
	b = textMember(b, `,"PreemptedByAllocation":`, a.PreemptedByAllocation)
	b = strconv.AppendUint(append(b, `,"CreateIndex":`...), a.CreateIndex, 10)
	b = strconv.AppendUint(append(b, `,"ModifyIndex":`...), a.ModifyIndex, 10)
	b = strconv.AppendInt(append(b, `,"CreateTime":`...), a.CreateTime, 10)
	b = strconv.AppendInt(append(b, `,"ModifyTime":`...), a.ModifyTime, 10)
	return append(b, '}'), nil
}

func appendTransition(b []byte, d *api.DesiredTransition) []byte {
	b = appendBoolPtr(append(b, `{"Migrate":`...), d.Migrate)
	b = appendBoolPtr(append(b, `,"Reschedule":`...), d.Reschedule)
	b = appendBoolPtr(append(b, `,"ForceReschedule":`...), d.ForceReschedule)
	b = appendBoolPtr(append(b, `,"NoShutdownDelay":`...), d.NoShutdownDelay)
	b = appendBoolPtr(append(b, `,"MigrateDisablePlacement":`...), d.MigrateDisablePlacement)
	return append(b, '}')
}

func appendHealth(b []byte, d *api.AllocDeploymentStatus) []byte {
	if d == nil {
		return append(b, "null"...)
	}
	b = appendBoolPtr(append(b, `{"Healthy":`...), d.Healthy)
	b = appendTime(append(b, `,"Timestamp":`...), d.Timestamp)
	b = strconv.AppendBool(append(b, `,"Canary":`...), d.Canary)
	b = strconv.AppendUint(append(b, `,"ModifyIndex":`...), d.ModifyIndex, 10)
	return append(b, '}')
}

func appendTracker(b []byte, t *api.RescheduleTracker) []byte {
	if t == nil {
		return append(b, "null"...)
	}
	b = append(b, `{"Events":`...)
	b = appendList(b, t.Events, func(b []byte, e *api.RescheduleEvent) []byte {
		if e == nil {
			return append(b, "null"...)
		}
		b = strconv.AppendInt(append(b, `{"RescheduleTime":`...), e.RescheduleTime, 10)
		b = textMember(b, `,"PrevAllocID":`, e.PrevAllocID)
		b = textMember(b, `,"PrevNodeID":`, e.PrevNodeID)
		b = strconv.AppendInt(append(b, `,"Delay":`...), int64(e.Delay), 10)
		return append(b, '}')
	})
	b = textMember(b, `,"LastReschedule":`, t.LastReschedule)
	return append(b, '}')
}

func appendTaskStates(b []byte, states map[string]*api.TaskState) []byte {
	return appendMap(b, states, func(b []byte, s *api.TaskState) []byte {
		if s == nil {
			return append(b, "null"...)
		}
		b = textMember(append(b, '{'), `"State":`, s.State)
		b = strconv.AppendBool(append(b, `,"Failed":`...), s.Failed)
		b = strconv.AppendUint(append(b, `,"Restarts":`...), s.Restarts, 10)
		b = appendTime(append(b, `,"LastRestart":`...), s.LastRestart)
		b = appendTime(append(b, `,"StartedAt":`...), s.StartedAt)
		b = appendTime(append(b, `,"FinishedAt":`...), s.FinishedAt)
		b = appendList(append(b, `,"Events":`...), s.Events, appendEvent)
		b = textMember(b, `,"Paused":`, s.Paused)
		return append(b, '}')
	})
}

// appendEvent writes an event with its flat members, as its MarshalJSON does.
func appendEvent(b []byte, e *api.TaskEvent) []byte {
	if e == nil {
		return append(b, "null"...)
	}
	d := e.Details
	number := func(key string) int64 {
		v := d[key]
		if v == "" {
			return 0 // the usual case; the error of parsing it would cost memory
		}
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	taskSignal, signal := d[api.DetailTaskSignal], int64(0)
	if e.Type == api.EventSignaling && taskSignal == "" {
		taskSignal = d[api.DetailSignal]
	} else {
		signal = number(api.DetailSignal)
	}
	var killTimeout time.Duration
	if v := d[api.DetailKillTimeout]; v != "" {
		killTimeout, _ = time.ParseDuration(v)
	}

	b = textMember(append(b, '{'), `"Type":`, e.Type)
	b = strconv.AppendInt(append(b, `,"Time":`...), e.Time, 10)
	b = textMember(b, `,"DisplayMessage":`, e.DisplayMessage())
	b = textMember(b, `,"Message":`, e.Message)
	b = appendMap(append(b, `,"Details":`...), d, appendText)
	b = strconv.AppendBool(append(b, `,"FailsTask":`...), e.FailsTask())
	b = textMember(b, `,"RestartReason":`, d[api.DetailRestartReason])
	b = textMember(b, `,"SetupError":`, d[api.DetailSetupError])
	b = textMember(b, `,"DriverError":`, d[api.DetailDriverError])
	b = textMember(b, `,"DriverMessage":`, d[api.DetailDriverMessage])
	b = strconv.AppendInt(append(b, `,"ExitCode":`...), number(api.DetailExitCode), 10)
	b = strconv.AppendInt(append(b, `,"Signal":`...), signal, 10)
	b = textMember(b, `,"KillReason":`, d[api.DetailKillReason])
	b = strconv.AppendInt(append(b, `,"KillTimeout":`...), int64(killTimeout), 10)
	b = textMember(b, `,"KillError":`, d[api.DetailKillError])
	b = strconv.AppendInt(append(b, `,"StartDelay":`...), number(api.DetailStartDelay), 10)
	b = textMember(b, `,"DownloadError":`, d[api.DetailDownloadError])
	b = textMember(b, `,"ValidationError":`, d[api.DetailValidationError])
	b = strconv.AppendInt(append(b, `,"DiskLimit":`...), number(api.DetailDiskLimit), 10)
	b = textMember(b, `,"FailedSibling":`, d[api.DetailFailedSibling])
	b = textMember(b, `,"VaultError":`, d[api.DetailVaultError])
	b = textMember(b, `,"TaskSignalReason":`, d[api.DetailTaskSignalReason])
	b = textMember(b, `,"TaskSignal":`, taskSignal)
	b = append(b, `,"GenericSource":""`...)
	return append(b, '}')
}

// appendJSON appends what encoding/json makes of v.
func appendJSON(b []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	err := web.EncodeJSON(buf, v)
	return buf.Bytes(), err
}

func textMember(b []byte, name, value string) []byte { return appendText(append(b, name...), value) }

func appendBoolPtr(b []byte, v *bool) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	return strconv.AppendBool(b, *v)
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendTexts(b []byte, items []string) []byte { return appendList(b, items, appendText) }

func appendList[T any](b []byte, items []T, item func([]byte, T) []byte) []byte {
	if items == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, v := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, v)
	}
	return append(b, ']')
}

// appendMap writes the entries in the order of their keys.
func appendMap[T any](b []byte, m map[string]T, item func([]byte, T) []byte) []byte {
	if m == nil {
		return append(b, "null"...)
	}
	b = append(b, '{')
	if len(m) == 1 {
		for k, v := range m {
			b = item(append(appendText(b, k), ':'), v)
		}
		return append(b, '}')
	}
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(append(appendText(b, k), ':'), m[k])
	}
	return append(b, '}')
}

// appendText appends a JSON string. Anything but plain ASCII takes the long
// way through encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			b, _ = appendJSON(b, s) // a string can always be encoded
			return b
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
