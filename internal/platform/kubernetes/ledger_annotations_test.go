// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// serving is a ledger in which env serves and the other environment has been live before.
func serving(env bluegreen.Environment) bluegreen.Ledger {
	l := bluegreen.NewAdoptedLedger("web", webRelease, nil, noon, "ann@host (pid 1)")
	l.Generation, l.HistoryLimit = 4, 3
	if env == bluegreen.Green {
		l.Live, l.Green, l.Blue = bluegreen.Green, l.Blue, l.Green
		l.Records[0].Environment = bluegreen.Green
	}
	return l
}

func stored(t *testing.T, d document) *corev1.Service {
	t.Helper()
	annotations, err := d.annotations()
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "web", Labels: objectLabels("web"), Annotations: annotations,
	}}
}

func TestDocumentComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	want := document{
		ledger:      serving(bluegreen.Blue),
		history:     []bluegreen.Record{{ID: "deploy-1", Status: bluegreen.StatusFailed, DeployedAt: noon}},
		trafficLeft: map[bluegreen.Environment]time.Time{bluegreen.Green: noon},
		adopted:     &adoption{Deployment: "legacy", Selector: map[string]string{"app": "web"}, Container: "app"},
	}
	got, err := readDocument(stored(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("wrote %+v\nand read %+v", want, got)
	}
}

func TestServiceThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	withLedger := func(ledger string) *corev1.Service {
		service := stored(t, document{ledger: serving(bluegreen.Blue)})
		service.Annotations[annotationLedger] = ledger
		return service
	}
	unmanaged := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	renamed := stored(t, document{ledger: serving(bluegreen.Blue)})
	renamed.Name = "api"
	cases := map[string]struct {
		service     *corev1.Service
		isUnmanaged bool
		want        string
	}{
		"unmanaged":  {unmanaged, true, "Service default/web exists and is not managed"},
		"no ledger":  {withLedger(""), false, "ledger is missing"},
		"torn":       {withLedger(`{"schema":`), false, "unexpected end"},
		"impossible": {withLedger(`{"schema":1,"live":"red"}`), false, `"red" is not an environment`},
		"of another": {renamed, false, `belongs to "web"`},
		"newer":      {withLedger(`{"schema":99}`), false, "newer version of the provider"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readDocument(c.service)
			var unmanaged *notManagedError
			var unreadable *UnreadableError
			isRightError := errors.As(err, &unmanaged) == c.isUnmanaged && errors.As(err, &unreadable) != c.isUnmanaged
			if err == nil || !isRightError || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestHistoryIsKeptToItsLimit(t *testing.T) {
	t.Parallel()
	d := document{}
	for _, id := range []string{"deploy-1", "deploy-2", "deploy-3", "deploy-4", "deploy-5"} {
		d = d.withLedger(serving(bluegreen.Blue), []bluegreen.Record{{ID: id}}, noon)
	}
	var kept []string
	for _, r := range d.history {
		kept = append(kept, r.ID)
	}
	if got := strings.Join(kept, " "); got != "deploy-3 deploy-4 deploy-5" {
		t.Errorf("kept %s", got)
	}
}

func TestTheTimeWhenTrafficLeftIsKept(t *testing.T) {
	t.Parallel()
	blue, green := serving(bluegreen.Blue), serving(bluegreen.Green)
	d := document{ledger: blue}.withLedger(green, nil, noon)
	if !d.trafficLeft[bluegreen.Blue].Equal(noon) {
		t.Fatalf("traffic left blue at %v", d.trafficLeft)
	}
	if again := d.withLedger(green, nil, noon.Add(time.Hour)); !again.trafficLeft[bluegreen.Blue].Equal(noon) {
		t.Errorf("a later commit makes it %v", again.trafficLeft)
	}
	back := d.withLedger(blue, nil, noon).trafficLeft
	if !back[bluegreen.Blue].IsZero() || back[bluegreen.Green].IsZero() {
		t.Errorf("after a rollback it is %v", back)
	}
	redeployed := green
	redeployed.Blue.State = bluegreen.Ready
	if fresh := d.withLedger(redeployed, nil, noon); !fresh.trafficLeft[bluegreen.Blue].IsZero() {
		t.Errorf("a release that never had traffic is said to have lost it at %v", fresh.trafficLeft)
	}
}
