// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// An endpoint is known as far as not only the apply decides it, each by itself.
func TestPlannedEndpoints(t *testing.T) {
	t.Parallel()
	known, null, unknown := types.StringValue, types.StringNull(), types.StringUnknown()
	at := func(listen, preview, protocol types.String) localPlatform {
		return localPlatform{localModel: localModel{Listen: listen, PreviewListen: preview, Protocol: protocol}}
	}
	published := func(addresses ...attr.Value) dockerPlatform {
		list := types.ListValueMust(types.StringType, addresses)
		return dockerPlatform{dockerModel: dockerModel{Publish: list, Protocol: known("tcp")}}
	}
	inNamespace := func(namespace types.String, port types.Int64, service types.Object) kubernetesPlatform {
		return kubernetesPlatform{kubernetesModel: kubernetesModel{Namespace: namespace, Port: port, Service: service}}
	}
	service := func(kind string, port types.Int64) types.Object {
		texts := types.MapType{ElemType: types.StringType}
		names := map[string]attr.Type{
			"type": types.StringType, "port": types.Int64Type, "node_port": types.Int64Type,
			"annotations": texts, "labels": texts,
		}
		return types.ObjectValueMust(names, map[string]attr.Value{
			"type": known(kind), "port": port, "node_port": types.Int64Null(),
			"annotations": types.MapNull(types.StringType), "labels": types.MapNull(types.StringType),
		})
	}
	none, port := service("ClusterIP", types.Int64Null()), types.Int64Value(8080)
	before := endpoints{known("http://127.0.0.1:4001"), known("http://127.0.0.1:4002")}
	for name, tt := range map[string]struct {
		where, prior location
		want         endpoints
	}{
		"a create": {at(known("127.0.0.1:80"), null, null), nil, endpoints{known("http://127.0.0.1:80"), unknown}},
		"both ports": {
			at(known(":80"), known("0.0.0.0:81"), known("tcp")), nil,
			endpoints{known("tcp://127.0.0.1:80"), known("tcp://127.0.0.1:81")},
		},
		"a name": {
			at(known("localhost:80"), known("[::1]:81"), null), nil,
			endpoints{known("http://localhost:80"), known("http://[::1]:81")},
		},
		"any port":   {at(known("127.0.0.1:0"), known("127.0.0.1:"), null), nil, endpoints{unknown, unknown}},
		"unknown":    {at(unknown, known(":81"), null), nil, endpoints{unknown, known("http://127.0.0.1:81")}},
		"a protocol": {at(known(":80"), null, unknown), at(known(":80"), null, null), endpoints{unknown, unknown}},
		"kept ports": {at(null, known(""), null), at(null, null, known("http")), before},
		"a preview": {
			at(null, known(":81"), null), at(null, null, null),
			endpoints{before.live, known("http://127.0.0.1:81")},
		},
		"another":    {at(null, null, known("tcp")), at(null, null, null), endpoints{unknown, unknown}},
		"published":  {published(known("0.0.0.0:80"), unknown), nil, endpoints{known("tcp://127.0.0.1:80"), unknown}},
		"to publish": {published(unknown), nil, endpoints{unknown, unknown}},
		"a Service": {
			inNamespace(known("shop"), port, none), nil,
			endpoints{known("web.shop.svc:8080"), known("web-preview.shop.svc:8080")},
		},
		"a Service's port": {
			inNamespace(null, port, service("NodePort", types.Int64Value(80))), nil,
			endpoints{known("web.default.svc:80"), known("web-preview.default.svc:80")},
		},
		"a load balancer": {
			inNamespace(null, port, service("LoadBalancer", types.Int64Null())), nil,
			endpoints{unknown, known("web-preview.default.svc:8080")},
		},
		"a namespace": {inNamespace(unknown, port, none), nil, endpoints{unknown, unknown}},
		"a port":      {inNamespace(null, types.Int64Unknown(), none), nil, endpoints{unknown, unknown}},
		"the same":    {inNamespace(null, port, none), inNamespace(null, port, none), before},
	} {
		former := before
		if tt.prior == nil {
			former = endpoints{}
		}
		if got := tt.where.endpoints("web", tt.prior, former); !got.live.Equal(tt.want.live) ||
			!got.preview.Equal(tt.want.preview) {
			t.Errorf("%s: planned are %v, not %v", name, got, tt.want)
		}
	}
}
