package jobspec

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/drover-org/drover/api"
)

// form is how a field is written in HCL.
type form int

const (
	formAttr   form = iota // name = value
	formFree               // name = { … } or name { … }, any content
	formBlock              // name { … }, at most one
	formBlocks             // name { … }, any number
)

// member is one field of a noun as HCL writes it.
type member struct {
	form  form
	field reflect.StructField
}

// noun is one api type as HCL writes it.
type noun struct {
	members map[string]member // by HCL name
	label   string            // the field that the block's label sets, or ""
	labels  [2]int            // least and most labels of the block
}

// names returns the HCL names of the noun, special ones included.
func (n *noun) names(t reflect.Type) []string {
	names := slices.Collect(maps.Keys(n.members))
	return append(names, specialNames(t)...)
}

// exceptions are the HCL names of fields, by type, that don't follow from the
// field's name; "" means that HCL has no such field, "@" that the block's
// label is the only way to set it, "@?" that the label may.
var exceptions = map[string]string{
	"Job":                    "ID=@? TaskGroups=group ParameterizedJob=parameterized Stop= ParentID= Dispatched= DispatchIdempotencyToken= Payload= ConsulNamespace= VaultNamespace= NomadTokenID= Status= StatusDescription= Stable= Version= SubmitTime= CreateIndex= ModifyIndex= JobModifyIndex= VersionTag=",
	"PeriodicConfig":         "Spec=cron Specs=crons SpecType=",
	"MultiregionRegion":      "Name=@",
	"Constraint":             "LTarget=attribute RTarget=value Operand=operator",
	"Affinity":               "LTarget=attribute RTarget=value Operand=operator",
	"Spread":                 "SpreadTarget=target",
	"SpreadTarget":           "Value=@?",
	"TaskGroup":              "Name=@ RestartPolicy=restart ReschedulePolicy=reschedule",
	"EphemeralDisk":          "SizeMB=size",
	"VolumeRequest":          "Name=@",
	"NetworkResource":        "MBits=mbits ReservedPorts= DynamicPorts=",
	"ScalingPolicy":          "Type=@? ID= Namespace= Target= CreateIndex= ModifyIndex=",
	"Task":                   "Name=@ RestartPolicy=restart LogConfig=logs CSIPluginConfig=csi_plugin ScalingPolicies=scaling Identity= Identities=",
	"LogConfig":              "MaxFileSizeMB=max_file_size",
	"TaskArtifact":           "GetterSource=source GetterOptions=options GetterHeaders=headers GetterMode=mode GetterInsecure=insecure RelativeDest=destination",
	"Template":               "SourcePath=source DestPath=destination EmbeddedTmpl=data LeftDelim=left_delimiter RightDelim=right_delimiter Envvars=env ErrMissingKey=error_on_missing_key",
	"VolumeMount":            "SELinuxLabel=selinux_label",
	"Secret":                 "Name=@",
	"WorkloadIdentity":       "Audience=aud",
	"Action":                 "Name=@",
	"Resources":              "MemoryMB=memory MemoryMaxMB=memory_max DiskMB=disk SecretsMB=secrets",
	"RequestedDevice":        "Name=@",
	"Service":                "PortLabel=port TaskName=task TaggedAddresses=tagged_addresses",
	"ServiceCheck":           "PortLabel=port TaskName=task",
	"SidecarTask":            "LogConfig=logs Identities=",
	"ConsulProxy":            "ExposeConfig= Upstreams=upstreams",
	"ConsulExposeConfig":     "Path=",
	"ConsulTransparentProxy": "ExcludeUIDs=exclude_uids ExcludeOutboundCIDRs=exclude_outbound_cidrs",
	"ConsulGatewayProxy":     "EnvoyGatewayBindAddresses=envoy_gateway_bind_addresses",
	// The label is the key of the map that holds it.
	"ConsulGatewayBindAddress": "Name=@",
}

// nouns are the api types that a job file reaches.
var nouns = sync.OnceValue(func() map[reflect.Type]*noun {
	out := make(map[reflect.Type]*noun)
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		if t.Kind() != reflect.Struct || out[t] != nil {
			return
		}
		n := nounOf(t)
		out[t] = n
		for _, m := range n.members {
			add(elem(m.field.Type))
		}
	}
	add(reflect.TypeFor[api.Job]())
	add(reflect.TypeFor[api.WorkloadIdentity]())
	add(reflect.TypeFor[portBlock]())
	return out
})

// nounOf derives how HCL writes a type.
func nounOf(t reflect.Type) *noun {
	renamed := make(map[string]string)
	for _, e := range strings.Fields(exceptions[t.Name()]) {
		field, name, _ := strings.Cut(e, "=")
		renamed[field] = name
	}
	n := &noun{members: make(map[string]member)}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() || f.Tag.Get("json") == "-" {
			continue
		}
		form := formOf(f.Type)
		name, special := renamed[f.Name]
		switch {
		case special && name == "":
			continue
		case name == "@":
			n.label, n.labels = f.Name, [2]int{1, 1}
			continue
		case name == "@?":
			n.label, n.labels = f.Name, [2]int{0, 1}
			name = snake(f.Name)
		case !special:
			name = snake(f.Name)
			if form == formBlocks {
				name = singular(name)
			}
		}
		n.members[name] = member{form: form, field: f}
	}
	if t == reflect.TypeFor[api.Job]() {
		n.labels[0] = 1
	}
	return n
}

// formOf returns how a field of a type is written.
func formOf(t reflect.Type) form {
	switch {
	case elem(t).Kind() == reflect.Struct:
		if t.Kind() == reflect.Pointer {
			return formBlock
		}
		return formBlocks
	case t.Kind() == reflect.Map:
		return formFree
	}
	return formAttr
}

// elem returns what t is a list, map or pointer of, at any depth.
func elem(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// snake turns a field's name into HCL's: MinHealthyTime, min_healthy_time.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// singular is the name of one of several blocks.
func singular(name string) string {
	if s, ok := strings.CutSuffix(name, "ies"); ok {
		return s + "y"
	}
	return strings.TrimSuffix(name, "s")
}
