// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
)

// settings are the flags of the agent.
type settings struct {
	stateDir, metricsListen string
	linger                  time.Duration
	// takeOver, restart and service are described by their flags.
	takeOver, restart, service bool
	// engineSocket is the path of a Docker engine's socket, "" for none. agentName is what
	// the labels of the agent's containers call it.
	engineSocket, agentName string
	// ports is the range that replicas get their ports from.
	ports process.PortRange
	// leaveWithin is agent.leaveWithin.
	leaveWithin time.Duration
}

// withoutFlag returns args without a flag that has no value.
func withoutFlag(args []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		flag, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		return flag == name && strings.HasPrefix(arg, "-")
	})
}

// Flags without a value.
const (
	takeOverFlag = "take-over"
	restartFlag  = api.RestartFlag
)

// setLinger reads the value of -linger.
func (s *settings) setLinger(value string) (err error) {
	if value == api.LingerForever {
		s.linger = math.MaxInt64
		return nil
	}
	s.linger, err = time.ParseDuration(value)
	return err
}

const usage = `Usage:
  terraform-provider-bluegreen agent [flags]          run the agent of the local and docker platforms
  terraform-provider-bluegreen agent install [flags]  write a systemd unit that runs it (see agent install -h)

Flags:
`

// parse reads the flags, and prints what it does not understand.
func parse(args []string) (s settings, err error) {
	s.engineSocket, s.agentName = os.Getenv(api.EngineSocketVariable), os.Getenv(api.AgentNameVariable)
	// What is no duration limits nothing.
	s.leaveWithin, _ = time.ParseDuration(os.Getenv(api.LeaveWithinVariable))
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	flags.StringVar(&s.stateDir, "state-dir", "",
		"directory of the state; default $XDG_STATE_HOME/bluegreen, else ~/.local/state/bluegreen")
	s.linger = time.Minute
	flags.Func("linger",
		`how long to stay once there is no deployment, or "`+api.LingerForever+`"; default 1m`, s.setLinger)
	flags.BoolVar(&s.restart, restartFlag, false,
		"run the agent as the child of a small process that starts it again when it dies, "+
			"where no service manager does")
	flags.BoolVar(&s.service, "service", false,
		"run the agent as the child of a small process that talks to systemd and ends once the agent has left, "+
			"so that systemd starts the next one while this one finishes what is in flight")
	flags.BoolVar(&s.takeOver, takeOverFlag, false,
		"take over from the agent that serves the directory, which then ends; "+
			"if a service manager started that agent, it must not restart it")
	flags.StringVar(&s.metricsListen, "metrics-listen", "",
		"address to serve Prometheus metrics on, such as 127.0.0.1:9464; default none")
	s.ports = process.DefaultPorts
	flags.Func("replica-ports",
		"ports of the replicas whose provider configures none; default "+process.DefaultPorts.String(),
		func(value string) (err error) {
			s.ports, err = process.ParsePortRange(value)
			return err
		})
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), usage) // Nobody can be told that the terminal is gone.
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(os.Stderr, "agent:", err)
	}
	return s, err
}
