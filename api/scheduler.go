package api

// SchedulerConfiguration is set by operators for the whole region.
type SchedulerConfiguration struct {
	SchedulerAlgorithm            string // binpack or spread
	PreemptionConfig              PreemptionConfig
	MemoryOversubscriptionEnabled bool
	RejectJobRegistration         bool
	PauseEvalBroker               bool
	NodeLimitForFeasibilityChecks uint
	CreateIndex                   uint64
	ModifyIndex                   uint64
}

// Scheduler algorithms.
const (
	AlgorithmBinPack = "binpack"
	AlgorithmSpread  = "spread"
)

// PreemptionConfig says which job types may displace others.
type PreemptionConfig struct {
	SystemSchedulerEnabled   bool
	SysBatchSchedulerEnabled bool
	BatchSchedulerEnabled    bool
	ServiceSchedulerEnabled  bool
}

// DefaultSchedulerConfiguration is in force until an operator sets another.
func DefaultSchedulerConfiguration() *SchedulerConfiguration {
	return &SchedulerConfiguration{
		SchedulerAlgorithm: AlgorithmBinPack,
		PreemptionConfig:   PreemptionConfig{SystemSchedulerEnabled: true},
	}
}
