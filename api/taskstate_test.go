package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Every type of event has its sentence and its annotations, as details and as
// the flat fields that older clients read.
func TestTaskEvents(t *testing.T) {
	at := time.Unix(0, 1495747371795703800)
	for _, c := range []struct {
		kind    string
		details []string
		display string
		flat    map[string]any
	}{
		{EventReceived, nil, "Task received by client", nil},
		{EventTaskSetup, []string{DetailMessage, "Building Task Directory"}, "Building Task Directory", nil},
		{EventBuildingTaskDirectory, nil, "Building Task Directory", nil},
		{EventSetupFailure, []string{DetailSetupError, "no such user", DetailFailsTask, "true"}, "no such user", map[string]any{"SetupError": "no such user", "FailsTask": true}},
		{EventSetupFailure, nil, "Task setup failed", nil},
		{EventFailedValidation, []string{DetailValidationError, "bad config"}, "bad config", map[string]any{"ValidationError": "bad config"}},
		{EventFailedValidation, nil, "Validation of task failed", nil},
		{EventDownloadingArtifacts, nil, "Client is downloading artifacts", nil},
		{EventFailedArtifactDownload, []string{DetailDownloadError, "404"}, "404", map[string]any{"DownloadError": "404"}},
		{EventFailedArtifactDownload, nil, "Failed to download artifacts", nil},
		{EventDriver, []string{DetailDriverMessage, "Downloading image redis:3.2", "image", "redis:3.2"}, "Downloading image redis:3.2", map[string]any{"DriverMessage": "Downloading image redis:3.2"}},
		{EventDriverFailure, []string{DetailDriverError, "no such file"}, "no such file", map[string]any{"DriverError": "no such file"}},
		{EventDriverFailure, nil, "Failed to start task", nil},
		{EventPluginUnhealthy, nil, "Plugin became unhealthy", nil},
		{EventPluginHealthy, nil, "Plugin became healthy", nil},
		{EventStarted, nil, "Task started by client", nil},
		{EventTerminated, []string{DetailExitCode, "0", DetailSignal, "0"}, "Exit Code: 0", map[string]any{"ExitCode": 0.0}},
		{EventTerminated, []string{DetailExitCode, "137", DetailSignal, "9", DetailOOMKilled, "true", DetailExitMessage, `died "hard"`}, `Exit Code: 137, Signal: 9, OOM Killed, Exit Message: "died \"hard\""`,
			map[string]any{"ExitCode": 137.0, "Signal": 9.0}},
		{EventKilling, []string{DetailKillTimeout, "5s"}, "Sent interrupt. Waiting 5s before force killing", map[string]any{"KillTimeout": 5e9}},
		{EventKilling, []string{DetailKillTimeout, "5s", DetailKillReason, "ran too long"}, "ran too long", map[string]any{"KillTimeout": 5e9, "KillReason": "ran too long"}},
		{EventKilled, nil, "Task successfully killed", nil},
		{EventKilled, []string{DetailKillError, "still there"}, "still there", map[string]any{"KillError": "still there"}},
		{EventRestarting, []string{DetailStartDelay, "15000000000", DetailRestartReason, "Restart within policy"}, "Restart within policy - Task restarting in 15s",
			map[string]any{"StartDelay": 15e9, "RestartReason": "Restart within policy"}},
		{EventNotRestarting, []string{DetailRestartReason, "Policy allows no restarts", DetailFailsTask, "true"}, "Policy allows no restarts", map[string]any{"RestartReason": "Policy allows no restarts", "FailsTask": true}},
		{EventRestartSignaled, []string{DetailRestartReason, "User requested restart"}, "User requested restart", map[string]any{"RestartReason": "User requested restart"}},
		{EventSignaling, []string{DetailTaskSignal, "SIGHUP"}, "Task being sent signal SIGHUP", map[string]any{"TaskSignal": "SIGHUP"}},
		{EventSignaling, []string{DetailTaskSignal, "SIGHUP", DetailTaskSignalReason, "template changed"}, "Task being sent signal SIGHUP: template changed",
			map[string]any{"TaskSignal": "SIGHUP", "TaskSignalReason": "template changed"}},
		{EventDiskResourcesExceeded, []string{DetailDiskLimit, "300"}, "Disk Resources Exceeded", map[string]any{"DiskLimit": 300.0}},
		{EventSiblingFailed, []string{DetailFailedSibling, "proxy"}, `Task's sibling "proxy" failed`, map[string]any{"FailedSibling": "proxy"}},
		{EventSiblingFailed, nil, "Task's sibling failed", nil},
		{EventLeaderDead, nil, "Leader Task in Group dead", nil},
		{EventMainTasksDead, nil, "Main tasks in the group died", nil},
		{EventHookFailed, []string{DetailMessage, "a hook failed"}, "a hook failed", nil},
		{EventHookMessage, []string{DetailMessage, "a hook says"}, "a hook says", nil},
		{EventFailedRestoring, []string{DetailMessage, "the task is gone"}, "the task is gone", nil},
		{EventReconnected, nil, "Reconnected", nil},
		{EventWaitingShutdownDelay, nil, "Waiting for shutdown delay", nil},
		{EventSkippingShutdownDelay, nil, "Skipping shutdown delay", nil},
		{"Something new", []string{DetailMessage, "says so"}, "says so", nil},
		{"Something new", nil, "Something new", nil},
	} {
		b, err := json.Marshal(NewTaskEvent(c.kind, at, c.details...))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if got["Type"] != c.kind || got["DisplayMessage"] != c.display || !strings.Contains(string(b), `"Time":1495747371795703800`) {
			t.Errorf("%s %q: %s", c.kind, c.details, b)
		}
		for i := 0; i < len(c.details); i += 2 {
			if d, _ := got["Details"].(map[string]any); d[c.details[i]] != c.details[i+1] {
				t.Errorf("%s %q: Details are %v", c.kind, c.details, d)
			}
		}
		for name, v := range got {
			switch name {
			case "Type", "Time", "DisplayMessage", "Details":
				continue
			}
			if want, ok := c.flat[name]; ok && v != want || !ok && v != "" && v != 0.0 && v != false {
				t.Errorf("%s %q: %s is %v, want %v", c.kind, c.details, name, v, want)
			}
		}
	}
}
