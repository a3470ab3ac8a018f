package api

// Service providers.
const (
	ServiceProviderNative = "nomad" // the value the API uses for the orchestrator's own registry
	ServiceProviderConsul = "consul"
)

// Types of checks.
const (
	CheckHTTP   = "http"
	CheckTCP    = "tcp"
	CheckGRPC   = "grpc"
	CheckScript = "script"
)

// Service is registered while its group or task runs.
type Service struct {
	Name              string
	TaskName          string
	PortLabel         string
	AddressMode       string
	Address           string
	Tags              []string
	CanaryTags        []string
	EnableTagOverride bool
	Checks            []*ServiceCheck
	CheckRestart      *CheckRestart
	Connect           *ConsulConnect
	Meta              map[string]string
	CanaryMeta        map[string]string
	TaggedAddresses   map[string]string
	OnUpdate          string
	Identity          *WorkloadIdentity
	Weights           *ServiceWeights
	Provider          string
	Cluster           string
	Kind              string
}

// ServiceWeights are a registry's weights of an instance.
type ServiceWeights struct{ Passing, Warning int }

// ServiceCheck tests a service.
type ServiceCheck struct {
	Name                   string
	Type                   string
	Command                string
	Args                   []string
	Path                   string
	Protocol               string
	PortLabel              string
	Expose                 bool
	AddressMode            string
	Advertise              string
	Interval               Duration
	Timeout                Duration
	InitialStatus          string
	Notes                  string
	TLSServerName          string
	TLSSkipVerify          bool
	Header                 map[string][]string
	Method                 string
	Body                   string
	CheckRestart           *CheckRestart
	GRPCService            string
	GRPCUseTLS             bool
	TaskName               string
	SuccessBeforePassing   int
	FailuresBeforeCritical int
	FailuresBeforeWarning  int
	OnUpdate               string
}

// CheckRestart restarts a task whose check keeps failing.
type CheckRestart struct {
	Limit          int
	Grace          *Duration
	IgnoreWarnings bool
}

// ConsulConnect joins a service to a mesh.
type ConsulConnect struct {
	Native         bool
	Gateway        *ConsulGateway
	SidecarService *ConsulSidecarService
	SidecarTask    *SidecarTask
}

// ConsulSidecarService configures a mesh proxy.
type ConsulSidecarService struct {
	Tags                   []string
	Port                   string
	Proxy                  *ConsulProxy
	DisableDefaultTCPCheck bool
	Meta                   map[string]string
}

// SidecarTask overrides the task that runs a mesh proxy.
type SidecarTask struct {
	Name          string
	Driver        string
	User          string
	Config        map[string]any
	Env           map[string]string
	Resources     *Resources
	Meta          map[string]string
	KillTimeout   *Duration
	LogConfig     *LogConfig
	ShutdownDelay *Duration
	KillSignal    string
	VolumeMounts  []*VolumeMount
	Identities    []*WorkloadIdentity
}

// ConsulProxy is a mesh proxy's configuration.
type ConsulProxy struct {
	LocalServiceAddress string
	LocalServicePort    int
	Expose              *ConsulExposeConfig
	ExposeConfig        *ConsulExposeConfig
	Upstreams           []*ConsulUpstream
	TransparentProxy    *ConsulTransparentProxy
	Config              map[string]any
}

// ConsulExposeConfig exposes paths past the mesh.
type ConsulExposeConfig struct {
	Paths []*ConsulExposePath
	Path  []*ConsulExposePath `json:",omitempty"`
}

// ConsulExposePath is one exposed path.
type ConsulExposePath struct {
	Path          string
	Protocol      string
	LocalPathPort int
	ListenerPort  string
}

// ConsulUpstream is a service a proxy connects to.
type ConsulUpstream struct {
	DestinationName      string
	DestinationNamespace string
	DestinationPeer      string
	DestinationPartition string
	DestinationType      string
	LocalBindPort        int
	LocalBindAddress     string
	LocalBindSocketPath  string
	LocalBindSocketMode  string
	Datacenter           string
	MeshGateway          *ConsulMeshGateway
	Config               map[string]any
}

// ConsulMeshGateway is how an upstream is reached.
type ConsulMeshGateway struct{ Mode string }

// ConsulTransparentProxy redirects a task's traffic to its proxy.
type ConsulTransparentProxy struct {
	UID                  string
	OutboundPort         uint16
	ExcludeInboundPorts  []string
	ExcludeOutboundPorts []uint16
	ExcludeOutboundCIDRs []string
	ExcludeUIDs          []string
	NoDNS                bool
}

// ConsulGateway makes a service a gateway of the mesh.
type ConsulGateway struct {
	Proxy       *ConsulGatewayProxy
	Ingress     *ConsulIngress
	Terminating *ConsulTerminating
	Mesh        *ConsulMesh
}

// ConsulGatewayProxy is a gateway proxy's configuration.
type ConsulGatewayProxy struct {
	ConnectTimeout                  *Duration
	EnvoyGatewayBindTaggedAddresses bool
	EnvoyGatewayBindAddresses       map[string]*ConsulGatewayBindAddress
	EnvoyGatewayNoDefaultBind       bool
	EnvoyDNSDiscoveryType           string
	Config                          map[string]any
}

// ConsulGatewayBindAddress is an address a gateway listens on.
type ConsulGatewayBindAddress struct {
	Name    string
	Address string
	Port    int
}

// ConsulGatewayTLS is a gateway's TLS configuration.
type ConsulGatewayTLS struct {
	Enabled       bool
	TLSMinVersion string
	TLSMaxVersion string
	CipherSuites  []string
	SDS           *ConsulGatewaySDS
}

// ConsulGatewaySDS names a certificate of a discovery service.
type ConsulGatewaySDS struct{ ClusterName, CertResource string }

// ConsulHTTPHeaders changes headers of requests or responses.
type ConsulHTTPHeaders struct {
	Add    map[string]string
	Set    map[string]string
	Remove []string
}

// ConsulIngress is an ingress gateway's configuration.
type ConsulIngress struct {
	TLS       *ConsulGatewayTLS
	Listeners []*ConsulIngressListener
}

// ConsulIngressListener is one listener of an ingress gateway.
type ConsulIngressListener struct {
	Port     int
	Protocol string
	Services []*ConsulIngressService
}

// ConsulIngressService is one service behind an ingress listener.
type ConsulIngressService struct {
	Name                  string
	Hosts                 []string
	TLS                   *ConsulGatewayTLS
	RequestHeaders        *ConsulHTTPHeaders
	ResponseHeaders       *ConsulHTTPHeaders
	MaxConnections        *uint32
	MaxPendingRequests    *uint32
	MaxConcurrentRequests *uint32
}

// ConsulTerminating is a terminating gateway's configuration.
type ConsulTerminating struct{ Services []*ConsulLinkedService }

// ConsulLinkedService is one service behind a terminating gateway.
type ConsulLinkedService struct{ Name, CAFile, CertFile, KeyFile, SNI string }

// ConsulMesh marks a mesh gateway.
type ConsulMesh struct{}
