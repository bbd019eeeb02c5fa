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

	debug := flag.Bool("debug", false, "run under a debugger: wait for Terraform to attach")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{Address: address, Debug: *debug})
	if err != nil {
		log.Fatal(err)
	}
}
