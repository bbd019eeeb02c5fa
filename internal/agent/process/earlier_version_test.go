// SPDX-License-Identifier: MPL-2.0

package process

import (
	"reflect"
	"testing"
)

// The files under testdata/0.1.0-dev were written by that version. A version that changes what is
// written adds a directory of its own; the old ones stay.
func TestProcessOfAnEarlierVersionIsRead(t *testing.T) {
	t.Parallel()
	got, err := ReadState("testdata/0.1.0-dev")
	if err != nil || got == nil {
		t.Fatalf("%v, %v", got, err)
	}
	want := State{
		Revision: "6FYGNNWAQ3ZPKZC6EXZQIRJPCR", Incarnation: "IBL7W7HFXG234CVAYNY55J6WUP", Port: 29000,
		PID: 14195, Identity: "644912@00000000-0000-4000-8000-000000000000",
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("read is %+v", *got)
	}
}
