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
)

// The capabilities that belong to no namespace.
const (
	CapNodeRead      Capability = "node:read"
	CapNodeWrite     Capability = "node:write"
	CapAgentRead     Capability = "agent:read"
	CapAgentWrite    Capability = "agent:write"
	CapOperatorRead  Capability = "operator:read"
	CapOperatorWrite Capability = "operator:write"
	CapManagement    Capability = "management"
)
