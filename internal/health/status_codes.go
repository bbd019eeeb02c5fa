// SPDX-License-Identifier: MPL-2.0

package health

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// statusCodes is a set of HTTP status codes. The zero value holds none.
type statusCodes struct{ ranges []codeRange }

// codeRange is a range that includes both of its ends.
type codeRange struct{ low, high int }

// parseStatusCodes reads a list of codes and ranges of codes such as
// "200-299,404". Codes are 200 to 599: lower ones are not final answers.
func parseStatusCodes(list string) (statusCodes, error) {
	var codes statusCodes
	for item := range strings.SplitSeq(list, ",") {
		r, err := parseRange(strings.TrimSpace(item))
		if err != nil {
			return statusCodes{}, err
		}
		codes.ranges = append(codes.ranges, r)
	}
	return codes, nil
}

func parseRange(item string) (codeRange, error) {
	first, last, isRange := strings.Cut(item, "-")
	if !isRange {
		last = first
	}
	low, lowErr := parseCode(first)
	high, highErr := parseCode(last)
	switch {
	case lowErr != nil || highErr != nil:
		return codeRange{}, fmt.Errorf(
			`%q is neither a status code from 200 to 599 nor a range of them such as "200-299"`, item)
	case low > high:
		return codeRange{}, fmt.Errorf("the range %q ends before it begins", item)
	default:
		return codeRange{low: low, high: high}, nil
	}
}

func parseCode(text string) (int, error) {
	text = strings.TrimSpace(text)
	code, err := strconv.Atoi(text)
	if err != nil || len(text) != len("200") || code < 200 || code > 599 {
		return 0, strconv.ErrRange
	}
	return code, nil
}

// hasCode reports whether code is in the set.
func (s statusCodes) hasCode(code int) bool {
	for _, r := range s.ranges {
		if r.low <= code && code <= r.high {
			return true
		}
	}
	return false
}

// IsSuccessOnly reports whether every status code that the check accepts is from 200
// to 399. These are the codes that a kubelet, for example, counts as success.
func (h HTTP) IsSuccessOnly() bool {
	codes, err := parseStatusCodes(orDefault(h.StatusCodes, DefaultHTTPStatusCodes))
	return err == nil && !slices.ContainsFunc(codes.ranges, func(r codeRange) bool { return r.high > 399 })
}
