// SPDX-License-Identifier: MPL-2.0

// Demo deploys a service with Terraform, or OpenTofu, while clients use it:
// a first release, a second one, a rollback, forward again, and a release that
// is broken. It succeeds only if not one request failed.
//
// It sees what a user sees: the provider's binary, Terraform's command line and
// the service's answers. PLATFORM says where it deploys: local, docker or
// kubernetes. Everything it makes is gone at the end: one temporary directory,
// every process, the containers and their image, or the namespace.
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

// cleanUp is the longest that tidying up may take, also after Ctrl-C.
const cleanUp = 2 * time.Minute

// interrupted is the exit status that shells give a process ended by Ctrl-C.
const interrupted = 130

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	err := demonstrate(ctx)
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

// demonstrate plays the demo and tidies up after it, however it ended.
func demonstrate(ctx context.Context) (err error) {
	workshop, err := openWorkshop(ctx)
	if err != nil {
		return err
	}
	tidy := func(clean func(context.Context) error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
		defer cancel()
		err = errors.Join(err, clean(limited))
	}
	defer tidy(workshop.close)

	tf, err := workshop.terraform()
	if err != nil {
		return err
	}
	play := &play{terraform: tf, workshop: workshop}
	play.board = newBoard(play.acts())
	play.board.screen = newScreen(os.Stdout, play.board)
	err = play.run(ctx)
	tidy(play.close)
	play.board.screen.close()
	return errors.Join(err, play.report())
}

// report prints the tables, and is an error if a single request failed.
func (p *play) report() error {
	if len(p.history) > 0 {
		fmt.Printf("\n%s", historyTable(p.history))
	}
	if p.load == nil {
		return nil
	}
	_, total := p.load.now()
	fmt.Printf("\n%s\n", resultTable(p.board.view().steps, total))
	if total.failures > 0 {
		return fmt.Errorf("%s of %s requests failed, the last one with: %w", thousands(total.failures), thousands(total.requests), total.cause)
	}
	fmt.Printf("  %s requests, not one failed.\n", thousands(total.requests))
	return nil
}
