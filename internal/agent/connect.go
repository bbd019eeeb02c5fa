// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"flag"
	"io"
)

// connect joins in and out to the agent of a state directory until one side
// ends: it lets a client on another host in, over whatever carries them there.
// The lock of a client that dies ends with in.
func connect(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("agent connect", flag.ContinueOnError)
	stateDirectory := flags.String("state-dir", "", "directory of the state of the agent to connect to; the default is the agent's own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := locateStateDir(*stateDirectory)
	if err != nil {
		return err
	}
	conn, err := dir.dial(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(conn, in)
		ended <- err
	}()
	go func() {
		_, err := io.Copy(out, conn)
		ended <- err
	}()
	return <-ended
}
