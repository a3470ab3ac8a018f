package api

// Capability is a right, as policies name it.
type Capability string

// The capabilities of a namespace.
const (
	CapDeny                      Capability = "deny"
	CapListJobs                  Capability = "list-jobs"
	CapParseJob                  Capability = "parse-job"
	CapReadJob                   Capability = "read-job"
	CapSubmitJob                 Capability = "submit-job"
	CapDispatchJob               Capability = "dispatch-job"
	CapReadLogs                  Capability = "read-logs"
	CapReadFS                    Capability = "read-fs"
	CapAllocExec                 Capability = "alloc-exec"
	CapAllocNodeExec             Capability = "alloc-node-exec"
	CapAllocLifecycle            Capability = "alloc-lifecycle"
	CapSentinelOverride          Capability = "sentinel-override"
	CapCSIRegisterPlugin         Capability = "csi-register-plugin"
	CapCSIWriteVolume            Capability = "csi-write-volume"
	CapCSIReadVolume             Capability = "csi-read-volume"
	CapCSIListVolume             Capability = "csi-list-volume"
	CapCSIMountVolume            Capability = "csi-mount-volume"
	CapHostVolumeCreate          Capability = "host-volume-create"
	CapHostVolumeRegister        Capability = "host-volume-register"
	CapHostVolumeRead            Capability = "host-volume-read"
	CapHostVolumeWrite           Capability = "host-volume-write"
	CapHostVolumeDelete          Capability = "host-volume-delete"
	CapListScalingPolicies       Capability = "list-scaling-policies"
	CapReadScalingPolicy         Capability = "read-scaling-policy"
	CapReadJobScaling            Capability = "read-job-scaling"
	CapScaleJob                  Capability = "scale-job"
	CapSubmitRecommendation      Capability = "submit-recommendation"
	CapRegisterJob               Capability = "register-job"
	CapRevertJob                 Capability = "revert-job"
	CapDeregisterJob             Capability = "deregister-job"
	CapPurgeJob                  Capability = "purge-job"
	CapEvaluateJob               Capability = "evaluate-job"
	CapPlanJob                   Capability = "plan-job"
	CapTagJobVersion             Capability = "tag-job-version"
	CapStableJob                 Capability = "stable-job"
	CapFailDeployment            Capability = "fail-deployment"
	CapPauseDeployment           Capability = "pause-deployment"
	CapPromoteDeployment         Capability = "promote-deployment"
	CapUnblockDeployment         Capability = "unblock-deployment"
	CapCancelDeployment          Capability = "cancel-deployment"
	CapSetAllocHealthDeployment  Capability = "set-alloc-health-deployment"
	CapGCAllocation              Capability = "gc-allocation"
	CapPauseAllocation           Capability = "pause-allocation"
	CapForcePeriodicJob          Capability = "force-periodic-job"
	CapDeleteServiceRegistration Capability = "delete-service-registration"
	CapAllocPortForward          Capability = "alloc-port-forward" // Drover's own
	CapAllocCopy                 Capability = "alloc-copy"         // Drover's own: files into and out of an allocation
	CapSeeNamespace              Capability = "see-namespace"      // to know of it: held with any other of these, in no policy
)

// The capabilities of other objects: of variables in a namespace, and of node
// pools and host volumes by their name.
const (
	CapVariablesList       Capability = "variables:list"
	CapVariablesRead       Capability = "variables:read"
	CapVariablesWrite      Capability = "variables:write"
	CapVariablesDestroy    Capability = "variables:destroy"
	CapNodePoolRead        Capability = "node_pool:read"
	CapNodePoolWrite       Capability = "node_pool:write"
	CapNodePoolDelete      Capability = "node_pool:delete"
	CapHostVolumeReadOnly  Capability = "host_volume:mount-readonly"
	CapHostVolumeReadWrite Capability = "host_volume:mount-readwrite"
)

// The capabilities that belong to no object.
const (
	CapNodeRead              Capability = "node:read"
	CapNodeWrite             Capability = "node:write"
	CapAgentRead             Capability = "agent:read"
	CapAgentWrite            Capability = "agent:write"
	CapOperatorRead          Capability = "operator:read"
	CapOperatorWrite         Capability = "operator:write"
	CapOperatorSnapshotSave  Capability = "operator:snapshot-save"
	CapOperatorLicenseRead   Capability = "operator:license-read"
	CapOperatorKeyringRotate Capability = "operator:keyring-rotate"
	CapOperatorKeyringRead   Capability = "operator:keyring-read"
	CapOperatorKeyringDelete Capability = "operator:keyring-delete"
	CapQuotaRead             Capability = "quota:read"
	CapQuotaWrite            Capability = "quota:write"
	CapPluginList            Capability = "plugin:list"
	CapPluginRead            Capability = "plugin:read"
	CapManagement            Capability = "management" // of a management token only, in no policy
)

// broader says which capabilities contain others.
var broader = map[Capability][]Capability{
	CapParseJob:                  {CapSubmitJob},
	CapRegisterJob:               {CapSubmitJob},
	CapRevertJob:                 {CapSubmitJob},
	CapDeregisterJob:             {CapSubmitJob},
	CapPurgeJob:                  {CapSubmitJob},
	CapEvaluateJob:               {CapSubmitJob},
	CapPlanJob:                   {CapSubmitJob},
	CapTagJobVersion:             {CapSubmitJob},
	CapStableJob:                 {CapSubmitJob},
	CapFailDeployment:            {CapSubmitJob},
	CapPauseDeployment:           {CapSubmitJob},
	CapPromoteDeployment:         {CapSubmitJob},
	CapUnblockDeployment:         {CapSubmitJob},
	CapCancelDeployment:          {CapSubmitJob},
	CapSetAllocHealthDeployment:  {CapSubmitJob},
	CapGCAllocation:              {CapSubmitJob},
	CapPauseAllocation:           {CapSubmitJob},
	CapForcePeriodicJob:          {CapDispatchJob, CapSubmitJob},
	CapDeleteServiceRegistration: {CapSubmitJob},
	CapReadLogs:                  {CapReadFS},
	CapReadJobScaling:            {CapReadJob},
	CapAllocPortForward:          {CapAllocExec},
	CapAllocCopy:                 {CapAllocExec},
	CapHostVolumeCreate:          {CapHostVolumeWrite},
	CapHostVolumeRegister:        {CapHostVolumeWrite},
	CapHostVolumeRead:            {CapHostVolumeWrite},
	CapHostVolumeDelete:          {CapHostVolumeWrite},
	CapHostVolumeReadOnly:        {CapHostVolumeReadWrite},
	CapNodeRead:                  {CapNodeWrite},
	CapAgentRead:                 {CapAgentWrite},
	CapOperatorRead:              {CapOperatorWrite},
	CapOperatorSnapshotSave:      {CapOperatorWrite},
	CapOperatorLicenseRead:       {CapOperatorRead, CapOperatorWrite},
	CapOperatorKeyringRotate:     {CapOperatorWrite},
	CapOperatorKeyringRead:       {CapOperatorRead, CapOperatorWrite},
	CapOperatorKeyringDelete:     {CapOperatorWrite},
	CapQuotaRead:                 {CapQuotaWrite},
	CapPluginList:                {CapPluginRead},
}

// Broader returns the capabilities that contain c: any of them is enough
// where c is asked for.
func (c Capability) Broader() []Capability { return broader[c] }
