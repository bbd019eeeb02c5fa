// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// longTimeout is a time that no test uses up.
const longTimeout = time.Hour

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "connect" {
		os.Exit(Main(os.Args[1:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(Main(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "listen" {
		// A replica that does nothing else.
		_ = http.ListenAndServe(net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")), nil)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m,
		// After a request that is too large net/http waits half a second before it closes.
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"),
		// Every logfile.File has a goroutine that never ends.
		goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"),
	)
}
