// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A tool takes the annotations of the Service away. The plan says so, as the data source does, and
// its apply brings them back.
func TestKubernetesLostLedger(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	tf := h.terraform()
	config := h.config(version("1.0.0"))
	tf.apply(config)

	const ledger = "terraform-provider-bluegreen/ledger"
	patch := []byte(`{"metadata":{"labels":null,"annotations":{"` + ledger + `":null}}}`)
	services := cluster.core.Services(p.namespace)
	if _, err := services.Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	mustContain(t, tf.must("plan"),
		"The ledger of the deployment was lost", "Service "+p.namespace+"/"+name,
		"was read from its copy in Lease "+p.namespace+"/"+name+"-bluegreen",
		"The next apply writes the ledger back", "the ledger of Service", "1 to change")
	tf.apply(config)
	h.answers("1.0.0")
	found, err := services.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil || found.Annotations[ledger] == "" || len(found.Labels) == 0 {
		t.Errorf("the Service is %+v, %v", found, err)
	}
	mustContain(t, tf.must("plan"), "No changes")
}
