// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The fingerprints are those of version 0.1.0-dev. With other ones every deployment would be deployed again.
func TestFingerprintsAreThoseOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	env, args := map[string]string{"LEVEL": "info"}, []string{"-v"}
	w := Workload{
		Port: 8080, Network: "backend", Memory: 256 << 20, CPUs: 0.5, User: "1000:1000", ReadOnly: true,
		Volumes: []Volume{
			{Name: "data", ContainerPath: "/data"}, {HostPath: "/srv/web", ContainerPath: "/www", ReadOnly: true},
		},
		Labels: map[string]string{"team": "web"}, ExtraHosts: []string{"db:10.0.0.2"},
		LogDriver: "local", LogOptions: map[string]string{"max-size": "10m"},
	}
	const image = "registry.example/web:1.2.0"
	release := bluegreen.Release{
		Version: "1.2.0", Image: image, Replicas: 2, Command: []string{"/web"}, Args: args, Env: env, Settings: w,
	}
	local := bluegreen.Release{
		Version: "1.2.0", Image: "/srv/web", Replicas: 2, Command: []string{"./web"}, Args: args, Env: env,
	}
	bare := bluegreen.Release{Version: "1.2.0", Image: "/srv/web"}
	spec := containerSpec{
		Version: "1.2.0", Image: "sha256:0123", Reference: image, Args: args, Env: env, Workload: w,
	}
	for want, got := range map[string]string{
		"f1d81b780b39a3d44847ca78313d768fafbd5f15aec8d39d1ca931f8b9ae5ddf": release.Seal("").Fingerprint,
		"7d14c7dc71a478e2ea472b41d6dadb9384ad3fc9174811612c2adc7e6978118f": local.Seal("").Fingerprint,
		"2a1eb188673df44c1b76b6c7874278d1b71c3aaf505f9419c1a0efc41deb468a": bare.Seal("").Fingerprint,
		"c89134eeba53b9b217c00471875fe0cf43e59941b7cebed58eecca00c91b73a0": spec.fingerprint(),
	} {
		if got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
}
