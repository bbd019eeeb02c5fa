// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "fmt"

// Environment is one of the two places where a release of a deployment runs.
type Environment string

// The two environments of every deployment. They are equal: the engine decides
// which of them is live, and no configuration does.
const (
	Blue  Environment = "blue"
	Green Environment = "green"
)

// Environments lists both environments, blue first.
func Environments() []Environment { return []Environment{Blue, Green} }

// ParseEnvironment returns the environment called name, or an error that names both.
func ParseEnvironment(name string) (Environment, error) {
	switch e := Environment(name); e {
	case Blue, Green:
		return e, nil
	default:
		return "", fmt.Errorf("%q is not an environment, use %q or %q", name, Blue, Green)
	}
}

// Other returns green for blue, and blue for green.
func (e Environment) Other() Environment {
	if e == Blue {
		return Green
	}
	return Blue
}

func (e Environment) String() string { return string(e) }

// State is the state of an environment.
type State string

const (
	// Idle: no traffic reaches it. With a release it is the standby, without one it is empty.
	Idle State = "idle"
	// Deploying: a release is being started here.
	Deploying State = "deploying"
	// Ready: a release runs here and waits for its health check or for the switch.
	Ready State = "ready"
	// Live: traffic reaches this environment.
	Live State = "live"
	// Failed: the last release deployed here never became live.
	Failed State = "failed"
)

func (s State) String() string { return string(s) }
