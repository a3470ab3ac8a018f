package store

// Restored notes that the state before it was put back from a file: whatever a
// reader saw before, what he reads from now on is of a later index.
type Restored struct{}

func (*Restored) apply(t *tx) (any, error) {
	t.bump(TableRestored)
	return nil, nil
}

// Counts tells how many objects of each kind there are.
func (s *Snapshot) Counts() map[string]int {
	return map[string]int{
		"jobs": s.jobs.Len(), "evaluations": s.evals.Len(), "allocations": s.allocs.Len(), "deployments": s.deployments.Len(),
		"nodes": s.nodes.Len(), "node pools": s.nodePools.Len(), "namespaces": s.namespaces.Len(), "services": s.services.Len(),
		"ACL policies": s.aclPolicies.Len(), "ACL roles": s.aclRoles.Len(), "ACL tokens": s.aclTokens.Len(),
		"auth methods": s.authMethods.Len(), "binding rules": s.bindingRules.Len(), "root keys": len(s.rootKeys),
	}
}
