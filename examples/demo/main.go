// SPDX-License-Identifier: MPL-2.0

// Demo deploys a service with Terraform or OpenTofu while clients use the service: a first
// release, a second release, a rollback, the second release again, and a broken release. It
// succeeds only if no request failed.
//
// The demo uses what a user has: the provider's binary, Terraform's command line and the
// service's answers. The variable PLATFORM says where it deploys: local, docker or
// kubernetes. At the end the demo removes everything that it created: a temporary directory,
// all processes, the containers and their image, or the namespace.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// cleanupTimeout is how long the cleanup may take, even after Ctrl-C.
const cleanupTimeout = 2 * time.Minute

// interrupted is the exit status of a process that was ended by Ctrl-C.
const interrupted = 130

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	err := runDemo(ctx)
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "interrupted:", err)
		os.Exit(interrupted)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runDemo runs the demo and always cleans up after it.
func runDemo(ctx context.Context) (err error) {
	workDir, err := newWorkDir(ctx)
	if err != nil {
		return err
	}
	cleanUp := func(clean func(context.Context) error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		err = errors.Join(err, clean(limited))
	}
	defer cleanUp(workDir.close)

	tf, err := workDir.terraform()
	if err != nil {
		return err
	}
	d := &demo{terraform: tf, workDir: workDir}
	d.progress = newProgress(d.actions())
	d.progress.renderer = newRenderer(os.Stdout, d.progress)
	err = d.run(ctx)
	cleanUp(d.close)
	d.progress.renderer.close()
	return errors.Join(err, d.report())
}

// report prints the tables. It returns an error if a request failed.
func (d *demo) report() error {
	if len(d.history) > 0 {
		fmt.Printf("\n%s", historyTable(d.history, widthOf(os.Stdout)))
	}
	if d.load == nil {
		return nil
	}
	_, total := d.load.current()
	fmt.Printf("\n%s\n", resultTable(d.progress.snapshot().steps, total))
	if total.failures > 0 {
		return fmt.Errorf("%s of %s requests failed, the last one with: %w",
			thousands(total.failures), thousands(total.requests), total.cause)
	}
	fmt.Printf("  %s requests, not one failed.\n", thousands(total.requests))
	return nil
}
