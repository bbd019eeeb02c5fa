// SPDX-License-Identifier: MPL-2.0

// Terraform-provider-bluegreen serves the provider to Terraform. With "agent" as
// its first argument it is the agent of the local platform instead.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	rtdebug "runtime/debug"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/provider"
)

// address is where Terraform finds the provider.
const address = "registry.terraform.io/bluegreen/bluegreen"

// version is set with -ldflags "-X main.version=1.2.3".
var version = "dev"

// gcPercent lets the heap grow to 32 MB before the first collection.
const gcPercent = 800

func main() {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	// Terraform starts the provider four times for an apply, mostly for less than
	// a tenth of a second: garbage is not worth collecting before there is a lot.
	rtdebug.SetGCPercent(gcPercent)
	quietSDK()

	debug := flag.Bool("debug", false, "run under a debugger: wait for Terraform to attach")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{Address: address, Debug: *debug})
	if err != nil {
		log.Fatal(err)
	}
}

// quietSDK keeps the SDK from writing its trace where nobody asked for a log.
// Without a level it writes every line, for Terraform to parse and drop, and that
// is a quarter of the time that a plan of many deployments takes.
func quietSDK() {
	if os.Getenv("TF_LOG") != "" || os.Getenv("TF_LOG_PROVIDER") != "" {
		return
	}
	for _, subsystem := range []string{"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK"} {
		if os.Getenv(subsystem) == "" {
			// An environment variable of this process can always be set.
			_ = os.Setenv(subsystem, "ERROR")
		}
	}
}
