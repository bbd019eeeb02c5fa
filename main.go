// SPDX-License-Identifier: MPL-2.0

// Terraform-provider-bluegreen serves the provider to Terraform. With "agent" as its first
// argument it runs the agent of the local and docker platforms instead.
package main

import (
	"flag"
	"log"
	"os"
	rtdebug "runtime/debug"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/build"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/provider"
)

// address is the provider's address in a registry.
const address = "registry.terraform.io/bluegreen/bluegreen"

// version is set with -ldflags "-X main.version=1.2.3".
var version = "dev"

// gcPercent lets the heap grow to 32 MB before the first collection.
const gcPercent = 800

func main() {
	build.Version = version
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	// Terraform starts the provider four times for an apply, mostly for less than a tenth
	// of a second. Collecting a small heap would only cost time.
	rtdebug.SetGCPercent(gcPercent)
	limitLogs()

	debug := flag.Bool("debug", false, "run under a debugger: wait for Terraform to attach")
	flag.Parse()
	var options []tf6server.ServeOpt
	if *debug {
		options = append(options, tf6server.WithManagedDebug())
	}
	serve := func() tfprotov6.ProviderServer { return provider.NewServer(version) }
	if err := tf6server.Serve(address, serve, options...); err != nil {
		log.Fatal(err)
	}
}

// limitLogs raises the level of the SDK's and the provider's own logs to ERROR unless the
// user asked for logs. Without a level every line is written, and Terraform parses and drops
// it. That takes a quarter of the time of a plan of many deployments.
func limitLogs() {
	if os.Getenv("TF_LOG") != "" || os.Getenv("TF_LOG_PROVIDER") != "" {
		return
	}
	for _, level := range []string{
		"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK", "TF_LOG_PROVIDER_BLUEGREEN",
	} {
		if os.Getenv(level) == "" {
			// An environment variable of this process can always be set.
			_ = os.Setenv(level, "ERROR")
		}
	}
}
