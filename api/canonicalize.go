package api

import (
	"fmt"
	"reflect"
	"time"
)

// Canonicalize completes the job in place: every default is written out, what
// a group inherits from its job and a task from its group is merged field by
// field, aliases of operands get their one spelling, and null entries of lists
// are dropped. Afterwards no optional pointer in a policy block (update,
// migrate, restart, reschedule) is nil. It refuses nothing: Validate does, and
// wants a canonical job. Canonicalizing twice changes nothing more.
func (j *Job) Canonicalize() {
	if j == nil {
		return
	}
	dropNull(reflect.ValueOf(j))
	def(&j.Region, DefaultRegion)
	def(&j.Namespace, DefaultNamespace)
	def(&j.Name, j.ID)
	def(&j.Type, JobTypeService)
	def(&j.Priority, DefaultJobPriority)
	def(&j.NodePool, DefaultNodePool)
	if len(j.Datacenters) == 0 {
		j.Datacenters = []string{"*"}
	}
	canonicalPlacement(j.Constraints, j.Affinities, j.Spreads)
	if j.rolls() || j.Update != nil {
		j.Update = inherit(j.Update, updateDefault())
	}
	if j.Reschedule != nil {
		j.Reschedule = j.Reschedule.complete(nil, j.Type)
	}
	if j.Migrate != nil {
		j.Migrate = inherit(j.Migrate, migrateDefault())
	}
	if p := j.Periodic; p != nil {
		defPtr(&p.Enabled, true)
		def(&p.SpecType, "cron")
		def(&p.TimeZone, "UTC")
	}
	if p := j.ParameterizedJob; p != nil {
		def(&p.Payload, "optional")
	}
	for _, g := range j.TaskGroups {
		g.canonicalize(j)
	}
}

func (g *TaskGroup) canonicalize(j *Job) {
	defPtr(&g.Count, 1)
	canonicalPlacement(g.Constraints, g.Affinities, g.Spreads)
	switch {
	case j.rolls():
		g.Update = inherit(g.Update, j.Update)
	case g.Update != nil: // has no effect, as Validate warns
		g.Update = inherit(g.Update, updateDefault())
	}
	g.RestartPolicy = inherit(g.RestartPolicy, restartDefault(j.Type))
	g.ReschedulePolicy = g.ReschedulePolicy.complete(j.Reschedule, j.Type)
	g.Migrate = inherit(g.Migrate, j.Migrate)
	if j.Type == JobTypeService || g.Migrate != nil {
		g.Migrate = inherit(g.Migrate, migrateDefault())
	}
	g.canonicalizeDisconnect()
	if g.EphemeralDisk == nil {
		g.EphemeralDisk = &EphemeralDisk{}
	}
	defPtr(&g.EphemeralDisk.SizeMB, DefaultDiskMB)
	canonicalNetworks(g.Networks)
	for name, v := range g.Volumes {
		def(&v.Name, name)
	}
	if s := g.Scaling; s != nil {
		s.canonicalize("horizontal")
		defPtr(&s.Min, int64(*g.Count))
		defPtr(&s.Max, max(*s.Min, int64(*g.Count)))
	}
	if c := g.Consul; c != nil {
		def(&c.Cluster, "default")
	}
	canonicalServices(g.Services, j.Name+"-"+g.Name)
	for _, t := range g.Tasks {
		t.canonicalize(j, g)
	}
}

// canonicalizeDisconnect turns the forerunners of the disconnect block into
// it, so that readers look in one place. Nil durations stay nil: they mean off.
func (g *TaskGroup) canonicalizeDisconnect() {
	if g.Disconnect == nil && (g.StopAfterClientDisconnect != nil || g.MaxClientDisconnect != nil || g.PreventRescheduleOnLost != nil) {
		d := &DisconnectStrategy{
			LostAfter:         deepCopy(g.MaxClientDisconnect),
			StopOnClientAfter: deepCopy(g.StopAfterClientDisconnect),
		}
		if g.PreventRescheduleOnLost != nil {
			d.Replace = ptr(!*g.PreventRescheduleOnLost)
		}
		g.Disconnect = d
	}
	if d := g.Disconnect; d != nil {
		defPtr(&d.Replace, true)
		def(&d.Reconcile, "best_score")
	}
}

func (t *Task) canonicalize(j *Job, g *TaskGroup) {
	canonicalPlacement(t.Constraints, t.Affinities, nil)
	t.RestartPolicy = inherit(t.RestartPolicy, g.RestartPolicy)
	defPtr(&t.KillTimeout, Duration(5*time.Second))
	if t.Resources == nil {
		t.Resources = &Resources{}
	}
	t.Resources.canonicalize()
	if t.LogConfig == nil {
		t.LogConfig = &LogConfig{}
	}
	t.LogConfig.canonicalize()
	for _, a := range t.Artifacts {
		def(&a.GetterMode, "any")
		def(&a.RelativeDest, "local/")
	}
	for _, tm := range t.Templates {
		tm.canonicalize()
	}
	if v := t.Vault; v != nil {
		defPtr(&v.Env, true)
		defPtr(&v.DisableFile, false)
		defPtr(&v.AllowTokenExpiration, false)
		def(&v.ChangeMode, "restart")
		def(&v.Cluster, "default")
	}
	if c := t.Consul; c != nil {
		def(&c.Cluster, "default")
	}
	if id := t.Identity; id != nil {
		def(&id.Name, "default")
		def(&id.ChangeMode, "noop")
	}
	for _, id := range t.Identities {
		def(&id.ChangeMode, "noop")
	}
	for _, m := range t.VolumeMounts {
		def(&m.PropagationMode, "private")
	}
	if c := t.CSIPluginConfig; c != nil {
		def(&c.MountDir, "/csi")
		def(&c.HealthTimeout, Duration(30*time.Second))
	}
	for _, s := range t.ScalingPolicies {
		s.canonicalize("")
	}
	canonicalServices(t.Services, j.Name+"-"+g.Name+"-"+t.Name)
}

func (r *Resources) canonicalize() {
	if r.Cores == 0 {
		def(&r.CPU, DefaultTaskCPU)
	}
	def(&r.MemoryMB, DefaultTaskMemoryMB)
	canonicalNetworks(r.Networks)
	for _, d := range r.Devices {
		defPtr(&d.Count, 1)
		canonicalPlacement(d.Constraints, d.Affinities, nil)
	}
}

// canonicalize sets Disabled from its forerunner Enabled where only that is given.
func (l *LogConfig) canonicalize() {
	defPtr(&l.MaxFiles, 10)
	defPtr(&l.MaxFileSizeMB, 10)
	defPtr(&l.Disabled, l.Enabled != nil && !*l.Enabled)
}

func (t *Template) canonicalize() {
	def(&t.ChangeMode, "restart")
	defPtr(&t.Splay, Duration(5*time.Second))
	def(&t.Perms, "0644")
	def(&t.LeftDelim, "{{")
	def(&t.RightDelim, "}}")
	if s := t.ChangeScript; s != nil {
		defPtr(&s.Timeout, Duration(5*time.Second))
	}
}

func (s *ScalingPolicy) canonicalize(kind string) {
	def(&s.Type, kind)
	defPtr(&s.Enabled, true)
}

// canonicalPlacement completes what limits and prefers nodes.
func canonicalPlacement(constraints []*Constraint, affinities []*Affinity, spreads []*Spread) {
	for _, c := range constraints {
		c.Operand = canonicalOperand(c.Operand)
	}
	for _, a := range affinities {
		a.Operand = canonicalOperand(a.Operand)
		defPtr(&a.Weight, 50)
	}
	for _, s := range spreads {
		defPtr(&s.Weight, 50)
	}
}

// canonicalOperand returns the one spelling of an operand.
func canonicalOperand(op string) string {
	switch op {
	case "", "==", "is":
		return OperandEqual
	case "not":
		return OperandNotEqual
	case OperandSetContainsAll:
		return OperandSetContains
	}
	return op
}

func canonicalNetworks(networks []*NetworkResource) {
	for _, n := range networks {
		def(&n.Mode, "host")
		for i := range n.ReservedPorts {
			def(&n.ReservedPorts[i].HostNetwork, "default")
		}
		for i := range n.DynamicPorts {
			def(&n.DynamicPorts[i].HostNetwork, "default")
		}
	}
}

// canonicalServices completes services; name is that of one without its own.
func canonicalServices(services []*Service, name string) {
	for _, s := range services {
		def(&s.Name, name)
		def(&s.Provider, ServiceProviderConsul)
		def(&s.AddressMode, "auto")
		def(&s.OnUpdate, "require_healthy")
		if s.Provider == ServiceProviderConsul {
			def(&s.Cluster, "default")
		}
		if r := s.CheckRestart; r != nil {
			defPtr(&r.Grace, Duration(time.Second))
		}
		for _, c := range s.Checks {
			def(&c.Name, fmt.Sprintf("service: %q check", s.Name))
			def(&c.OnUpdate, s.OnUpdate)
			c.CheckRestart = inherit(c.CheckRestart, s.CheckRestart)
			if r := c.CheckRestart; r != nil {
				defPtr(&r.Grace, Duration(time.Second))
			}
		}
	}
}

// rolls reports whether an update block means anything for the job's type.
func (j *Job) rolls() bool { return j.Type == JobTypeService || j.Type == JobTypeSystem }

func updateDefault() *UpdateStrategy {
	return &UpdateStrategy{
		Stagger: ptr(Duration(30 * time.Second)), MaxParallel: ptr(1), HealthCheck: "checks",
		MinHealthyTime: ptr(Duration(10 * time.Second)), HealthyDeadline: ptr(Duration(5 * time.Minute)),
		ProgressDeadline: ptr(Duration(10 * time.Minute)),
		Canary:           ptr(0), AutoRevert: ptr(false), AutoPromote: ptr(false),
	}
}

func restartDefault(jobType string) *RestartPolicy {
	p := &RestartPolicy{
		Attempts: ptr(2), Interval: ptr(Duration(30 * time.Minute)), Delay: ptr(Duration(15 * time.Second)),
		Mode: RestartModeFail, RenderTemplates: ptr(false),
	}
	if jobType == JobTypeBatch || jobType == JobTypeSysBatch {
		p.Attempts, p.Interval = ptr(3), ptr(Duration(24*time.Hour))
	}
	return p
}

// complete returns p, possibly nil, with what it leaves open taken from the
// job's policy and then from the job type's default.
func (p *ReschedulePolicy) complete(job *ReschedulePolicy, jobType string) *ReschedulePolicy {
	p = inherit(p, job)
	if p != nil && p.Unlimited != nil && *p.Unlimited { // a window then has no meaning
		defPtr(&p.Attempts, 0)
		defPtr(&p.Interval, 0)
	}
	return inherit(p, rescheduleDefault(jobType))
}

// rescheduleDefault is never nil; for types that run on every node it is a
// policy that does not reschedule.
func rescheduleDefault(jobType string) *ReschedulePolicy {
	p := &ReschedulePolicy{
		Attempts: ptr(0), Interval: ptr(Duration(0)), Delay: ptr(Duration(0)),
		DelayFunction: "constant", MaxDelay: ptr(Duration(0)), Unlimited: ptr(false),
	}
	switch jobType {
	case JobTypeService:
		p.Unlimited, p.DelayFunction = ptr(true), "exponential"
		p.Delay, p.MaxDelay = ptr(Duration(30*time.Second)), ptr(Duration(time.Hour))
	case JobTypeBatch:
		p.Attempts, p.Interval = ptr(1), ptr(Duration(24*time.Hour))
		p.Delay = ptr(Duration(5 * time.Second))
	}
	return p
}

func migrateDefault() *MigrateStrategy {
	return &MigrateStrategy{
		MaxParallel: ptr(1), HealthCheck: "checks",
		MinHealthyTime: ptr(Duration(10 * time.Second)), HealthyDeadline: ptr(Duration(5 * time.Minute)),
	}
}

// inherit fills the unset (zero) fields of child, itself possibly nil, with
// copies of parent's and returns it. With a nil parent child is unchanged.
func inherit[T any](child, parent *T) *T {
	if parent == nil {
		return child
	}
	if child == nil {
		return deepCopy(parent)
	}
	c, p := reflect.ValueOf(child).Elem(), reflect.ValueOf(deepCopy(parent)).Elem()
	for i := range c.NumField() {
		if c.Field(i).IsZero() {
			c.Field(i).Set(p.Field(i))
		}
	}
	return child
}

// dropNull removes nil pointers from the lists and maps that v reaches.
func dropNull(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			dropNull(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			dropNull(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Pointer {
			return
		}
		kept := 0
		for i := range v.Len() {
			if e := v.Index(i); !e.IsNil() {
				v.Index(kept).Set(e)
				dropNull(e)
				kept++
			}
		}
		if kept < v.Len() {
			v.Slice3(kept, v.Len(), v.Len()).Clear()
			v.SetLen(kept)
		}
	case reflect.Map:
		if v.Type().Elem().Kind() != reflect.Pointer {
			return
		}
		for it := v.MapRange(); it.Next(); {
			if it.Value().IsNil() {
				v.SetMapIndex(it.Key(), reflect.Value{})
				continue
			}
			dropNull(it.Value())
		}
	}
}

// def sets *p to v if it is zero.
func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// defPtr points *p to v if it is nil.
func defPtr[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}

func ptr[T any](v T) *T { return &v }
