// SPDX-License-Identifier: MPL-2.0

//go:build linux

// Profiled is the provider with an agent that writes a CPU profile. SIGUSR1 starts the
// profile, and the next SIGUSR1 ends it and writes it to a file.
package main

import (
	"bytes"
	"log"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/provider"
)

// profile is the path of the profile. It is set with -ldflags "-X main.profile=PATH", because the
// agent gets no environment variables of the provider.
var profile string

func main() {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		go writeProfiles(profile)
		os.Exit(agent.Main(os.Args[2:]))
	}
	serve := func() tfprotov6.ProviderServer { return provider.NewServer("0.0.1") }
	if err := tf6server.Serve("registry.terraform.io/bluegreen/bluegreen", serve); err != nil {
		log.Fatal(err)
	}
}

// writeProfiles writes a profile to path from each odd signal to the next even one. The file
// appears at once with all of its content.
func writeProfiles(path string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	for range signals {
		var content bytes.Buffer
		if err := pprof.StartCPUProfile(&content); err != nil {
			log.Fatal(err)
		}
		<-signals
		pprof.StopCPUProfile()
		if err := os.WriteFile(path+".part", content.Bytes(), 0o600); err != nil {
			log.Fatal(err)
		}
		if err := os.Rename(path+".part", path); err != nil {
			log.Fatal(err)
		}
	}
}
