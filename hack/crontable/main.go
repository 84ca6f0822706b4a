// Command crontable writes the truth table of the schedule dialect: what robfig/cron, the library
// inside Kubernetes' CronJob controller, says about many expressions, zones and moments.
//
// Every line is a JSON object:
//
//	{"robfig":"v3.0.1","tzdata":"2026f"}          what made the table (first line)
//	{"e":"61 * * * *","error":"end of range ..."}  an expression that Kubernetes refuses
//	{"e":"0 6 * * *","z":"Europe/Madrid","s":1,"n":[2,3]}  the slots that follow a start
//
// Times are seconds since 1970. Fewer than five slots mean that no more comes within robfig's
// limit of five years; "hangs" says that robfig does not come back from computing the next one.
// The output depends on nothing but this program, its flags and the zones in $ZONEINFO. With a
// larger -random and another -seed it makes a table for a deeper comparison than the one kept.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

const (
	slots    = 5
	patience = 5 * time.Second
)

type row struct {
	Robfig string  `json:"robfig,omitempty"`
	Tzdata string  `json:"tzdata,omitempty"`
	Expr   *string `json:"e,omitempty"`
	Error  string  `json:"error,omitempty"`
	Zone   string  `json:"z,omitempty"`
	Start  *int64  `json:"s,omitempty"`
	Next   []int64 `json:"n,omitempty"`
	Hangs  bool    `json:"hangs,omitempty"`
}

// refusal is the judgement of the API server (validateScheduleFormat in pkg/apis/batch/validation).
func refusal(expr string) (message string) {
	defer func() {
		if r := recover(); r != nil {
			message = fmt.Sprint("invalid schedule format: ", r)
		}
	}()
	if _, err := cron.ParseStandard(expr); err != nil {
		return err.Error()
	}
	if strings.Contains(expr, "TZ") {
		return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
	}
	return ""
}

// follow computes slots as the controller does: it puts the zone in front of the expression.
func follow(expr, zone string, start int64) ([]int64, bool) {
	schedule, err := cron.ParseStandard("TZ=" + zone + " " + expr)
	if err != nil {
		panic(err)
	}
	var found []int64
	t := time.Unix(start, 0).UTC()
	for len(found) < slots {
		answer := make(chan time.Time, 1)
		go func(t time.Time) { answer <- schedule.Next(t) }(t)
		select {
		case t = <-answer:
		case <-time.After(patience):
			return found, true
		}
		if t.IsZero() {
			break
		}
		found = append(found, t.Unix())
	}
	return found, false
}

type table struct {
	out  *json.Encoder
	seen map[string]bool
}

func (t *table) slots(expr, zone string, start int64) {
	key := fmt.Sprint(expr, "|", zone, "|", start)
	if t.seen[key] {
		return
	}
	t.seen[key] = true
	if message := refusal(expr); message != "" {
		panic(fmt.Sprintf("%q is meant to be valid: %s", expr, message))
	}
	next, hangs := follow(expr, zone, start)
	t.write(row{Expr: &expr, Zone: zone, Start: &start, Next: next, Hangs: hangs})
}

func (t *table) judge(expr string) bool {
	if t.seen[expr] {
		return true
	}
	t.seen[expr] = true
	message := refusal(expr)
	if message == "" {
		return false
	}
	t.write(row{Expr: &expr, Error: message})
	return true
}

func (t *table) write(r row) {
	if err := t.out.Encode(r); err != nil {
		panic(err)
	}
}

func tzdataVersion() string {
	text, err := os.ReadFile(filepath.Join(os.Getenv("ZONEINFO"), "tzdata.zi"))
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimPrefix(first, "# version ")
}

func main() {
	seed := flag.Int64("seed", 20260101, "of the cases that are made up")
	made := flag.Int("random", 2000, "how many cases are made up")
	flag.Parse()
	buffer := bufio.NewWriter(os.Stdout)
	defer buffer.Flush()
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	t := &table{out: encoder, seen: map[string]bool{}}
	t.write(row{Robfig: "v3.0.1", Tzdata: tzdataVersion()})

	for _, expr := range refused {
		if !t.judge(expr) {
			panic(fmt.Sprintf("%q is meant to be refused", expr))
		}
	}
	random := rand.New(rand.NewSource(*seed))
	for n := 0; n < 250; {
		if expr := spoil(random, expression(random)); t.judge(expr) {
			n++
		}
	}
	for i, expr := range odd {
		t.slots(expr, "UTC", unix(quietStart))
		moment := moments[i%len(moments)]
		t.slots(expr, moment.zone, unix(moment.at)-7*3600)
	}
	for _, moment := range moments {
		for _, expr := range usual {
			for _, before := range []int64{40 * 86400, 30 * 3600, 1, -5400} {
				t.slots(expr, moment.zone, unix(moment.at)-before)
			}
		}
	}
	// 2100 is no leap year: the limit of five years shows.
	for _, start := range []string{"2095-06-01T00:00:00Z", "2096-03-01T00:00:00Z", "2098-12-31T23:59:59Z", "2099-01-01T00:00:00Z"} {
		for _, zone := range []string{"UTC", "Europe/Madrid", "Asia/Kolkata", "America/New_York"} {
			t.slots("0 6 29 2 *", zone, unix(start))
		}
	}
	for n := 0; n < *made*3/4; n++ {
		moment := moments[random.Intn(len(moments))]
		t.slots(expression(random), moment.zone, unix(moment.at)+random.Int63n(6*86400)-4*86400)
	}
	for n := 0; n < *made/4; n++ {
		start := unix("2012-01-01T00:00:00Z") + random.Int63n(16*365*86400)
		t.slots(expression(random), zones[random.Intn(len(zones))], start)
	}
	// Last, because what hangs keeps a processor busy until the end.
	for _, expr := range skippedDay {
		for _, start := range []string{"2011-12-28T09:00:00Z", "2011-12-29T20:00:00Z", "2011-12-30T10:00:00Z"} {
			t.slots(expr, "Pacific/Apia", unix(start))
		}
	}
}

func unix(text string) int64 {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t.Unix()
}
