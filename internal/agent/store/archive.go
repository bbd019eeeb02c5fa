// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// archive says which file holds the closed records and how much of it counts.
//
// Records are appended to the file before the document that counts them is
// renamed into place. What follows the first Bytes of the file belongs to a commit that
// was interrupted: it is ignored, and removed at the next append. So a commit costs the
// same for a short history and a long one.
type archive struct {
	File    string `json:"file,omitempty"`
	Bytes   int64  `json:"bytes"`
	Records int    `json:"records"`
}

var archiveName = regexp.MustCompile(`^history-([0-9]{1,18})\.jsonl$`)

func (a archive) validate() error {
	empty := a == archive{}
	if !empty && (!archiveName.MatchString(a.File) || a.Bytes < 0 || a.Records < 0) {
		return fmt.Errorf("its history file is invalid: %q with %d records in %d bytes", a.File, a.Records, a.Bytes)
	}
	return nil
}

// next is the name of the file that follows a's.
func (a archive) next() string {
	number := 0
	if match := archiveName.FindStringSubmatch(a.File); match != nil {
		number, _ = strconv.Atoi(match[1])
	}
	return fmt.Sprintf("history-%d.jsonl", number+1)
}

// extend appends closed durably and returns the archive that holds them. A file
// with more than twice as many records as are kept is replaced by a new one. On average
// this costs each commit the same.
func (a archive) extend(dir string, closed []bluegreen.Record, keep int) (archive, error) {
	if len(closed) == 0 {
		return a, nil
	}
	if a.Records+len(closed) <= 2*keep && a.File != "" {
		return a.append(dir, closed)
	}
	records, err := a.read(dir)
	if err != nil {
		return a, err
	}
	records = append(records, closed...)
	records = records[max(0, len(records)-max(keep, 1)):]
	return archive{File: a.next()}.append(dir, records)
}

func (a archive) append(dir string, records []bluegreen.Record) (archive, error) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, record := range records {
		if err := encoder.Encode(record); err != nil {
			return a, fmt.Errorf("encoding record %s: %w", record.ID, err)
		}
	}
	if err := a.writeAt(filepath.Join(dir, a.File), lines.Bytes()); err != nil {
		return a, fmt.Errorf("archiving %d records: %w", len(records), err)
	}
	return archive{a.File, a.Bytes + int64(lines.Len()), a.Records + len(records)}, nil
}

// writeAt puts content behind the bytes that count and syncs it.
func (a archive) writeAt(path string, content []byte) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < a.Bytes {
		return &durable.UnreadableError{Path: path, Err: errShort}
	}
	if err := file.Truncate(a.Bytes); err != nil {
		return err
	}
	if _, err := file.WriteAt(content, a.Bytes); err != nil {
		return err
	}
	return file.Sync()
}

var errShort = errors.New("it is shorter than the ledger says")

// read returns the records that count, oldest first.
func (a archive) read(dir string) ([]bluegreen.Record, error) {
	if a.File == "" {
		return nil, nil
	}
	path := filepath.Join(dir, a.File)
	file, err := durable.OpenRegular(path)
	if err != nil {
		return nil, &durable.UnreadableError{Path: path, Err: err}
	}
	defer file.Close()
	records := make([]bluegreen.Record, 0, min(a.Records, 1<<16))
	decoder := json.NewDecoder(bufio.NewReader(io.LimitReader(file, a.Bytes)))
	for range a.Records {
		var record bluegreen.Record
		if err := decoder.Decode(&record); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &durable.UnreadableError{Path: path, Err: errShort}
		} else if err != nil {
			return nil, &durable.UnreadableError{Path: path, Err: fmt.Errorf("record %d: %w", len(records)+1, err)}
		}
		records = append(records, record)
	}
	return records, nil
}

// ReadHistory returns the archived records of the deployment in dir, oldest first,
// even while an agent writes: if a commit replaces the archive after the ledger
// was read, it reads the ledger again.
func ReadHistory(dir, name string) ([]bluegreen.Record, error) {
	for former := ""; ; {
		doc, err := ReadDocument(dir, name)
		if err != nil {
			return nil, err
		}
		records, err := doc.Archive.read(dir)
		if !errors.Is(err, fs.ErrNotExist) || doc.Archive.File == former {
			return records, err
		}
		former = doc.Archive.File
	}
}
