// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "fmt"

// Environment is one of the two places where a release of a deployment runs.
type Environment string

// The two environments of every deployment. Neither is special: which of them
// is live is computed by the engine and never configured.
const (
	Blue  Environment = "blue"
	Green Environment = "green"
)

// Environments lists both environments, blue first.
func Environments() []Environment { return []Environment{Blue, Green} }

// ParseEnvironment returns the environment called name, or an error that names
// the two that exist.
func ParseEnvironment(name string) (Environment, error) {
	switch e := Environment(name); e {
	case Blue, Green:
		return e, nil
	default:
		return "", fmt.Errorf("%q is no environment: it is %q or %q", name, Blue, Green)
	}
}

// Other returns the environment that e is not.
func (e Environment) Other() Environment {
	if e == Blue {
		return Green
	}
	return Blue
}

func (e Environment) String() string { return string(e) }

// State is what an environment is doing.
type State string

const (
	// Idle: no traffic. With a release it is the standby, without one it is empty.
	Idle State = "idle"
	// Deploying: a release is being started here; its outcome is not known yet.
	Deploying State = "deploying"
	// Ready: a release runs here and waits for its health check or for the switch.
	Ready State = "ready"
	// Live: traffic reaches this environment.
	Live State = "live"
	// Failed: the last release deployed here never became live.
	Failed State = "failed"
)

func (s State) String() string { return string(s) }
