package events

import "github.com/drover-org/drover/api"

// keysOf returns what events of a row are asked for by.
func keysOf(row any) (key, namespace string, filterKeys []string) {
	switch r := row.(type) {
	case *api.Job:
		return r.ID, r.Namespace, filter(r.ParentID)
	case *api.Evaluation:
		return r.ID, r.Namespace, filter(r.JobID, r.DeploymentID)
	case *api.Allocation:
		return r.ID, r.Namespace, filter(r.JobID, r.DeploymentID)
	case *api.Deployment:
		return r.ID, r.Namespace, filter(r.JobID)
	case *api.Node:
		return r.ID, "", nil
	case *api.SchedulerConfiguration:
		return "scheduler", "", nil
	case *api.ACLToken:
		return r.AccessorID, "", nil
	case *api.ACLPolicy:
		return r.Name, "", nil
	case *api.ACLRole:
		return r.ID, "", nil
	case *api.ACLAuthMethod:
		return r.Name, "", nil
	case *api.ACLBindingRule:
		return r.ID, "", filter(r.AuthMethod)
	case *api.Namespace:
		return r.Name, "", nil
	case *api.NodePool:
		return r.Name, "", nil
	case *api.ServiceRegistration:
		return r.ID, r.Namespace, filter(r.ServiceName, r.JobID, r.AllocID)
	}
	return "", "", nil
}

func filter(keys ...string) []string {
	var out []string
	for _, k := range keys {
		if k != "" {
			out = append(out, k)
		}
	}
	return out
}

// payloadOf returns what an event shows of a row: the same as a read of the
// object, without secrets, and of an allocation not the job.
func payloadOf(row any, deleted bool) map[string]any {
	switch r := row.(type) {
	case *api.Job:
		if deleted {
			return map[string]any{"Job": r, "Deleted": true}
		}
		return map[string]any{"Job": r}
	case *api.Evaluation:
		return map[string]any{"Evaluation": r}
	case *api.Allocation:
		a := r.Copy()
		a.Job = nil
		return map[string]any{"Allocation": a.View()}
	case *api.Deployment:
		return map[string]any{"Deployment": r}
	case *api.Node:
		return map[string]any{"Node": r.Redacted()}
	case *api.SchedulerConfiguration:
		return map[string]any{"SchedulerConfig": r}
	case *api.ACLToken:
		token := *r
		token.SecretID = ""
		return map[string]any{"ACLToken": &token}
	case *api.ACLPolicy:
		return map[string]any{"ACLPolicy": r}
	case *api.ACLRole:
		return map[string]any{"ACLRole": r}
	case *api.ACLAuthMethod:
		if r.Config != nil && r.Config.OIDCClientSecret != "" {
			r = r.WithSecret(api.RedactedSecret)
		}
		return map[string]any{"ACLAuthMethod": r}
	case *api.ACLBindingRule:
		return map[string]any{"ACLBindingRule": r}
	case *api.Namespace:
		return map[string]any{"Namespace": r}
	case *api.NodePool:
		return map[string]any{"NodePool": r}
	case *api.ServiceRegistration:
		return map[string]any{"Service": r}
	}
	return map[string]any{}
}

// About what a row takes that only the ring keeps from being freed. What rows
// share (job versions, resources) stays in the state anyhow.
const (
	sizeAlloc = 1 << 10
	sizeEval  = 512
	sizeJob   = 4 << 10
	sizeNode  = 4 << 10
	sizeOther = 1 << 10
)

func sizeOf(changes []Change) int {
	n := 128 // of the batch
	for i := range changes {
		switch changes[i].Topic {
		case api.TopicAllocation:
			n += sizeAlloc
		case api.TopicEvaluation:
			n += sizeEval
		case api.TopicJob:
			n += sizeJob
		case api.TopicNode:
			n += sizeNode
		default:
			n += sizeOther
		}
	}
	return n
}
