package main

import (
	"fmt"
	"math/rand"
	"strings"
)

const quietStart = "2026-07-15T10:17:23Z"

// moments are changes of the clocks, each in its zone.
var moments = []struct{ zone, at string }{
	{"America/New_York", "2026-03-08T07:00:00Z"},
	{"America/New_York", "2026-11-01T06:00:00Z"},
	{"Europe/Madrid", "2026-03-29T01:00:00Z"},
	{"Europe/Madrid", "2026-10-25T01:00:00Z"},
	{"Europe/London", "2027-03-28T01:00:00Z"},
	{"Europe/Dublin", "2026-10-25T01:00:00Z"},
	{"Australia/Lord_Howe", "2026-04-04T15:00:00Z"}, // half an hour back
	{"Australia/Lord_Howe", "2026-10-03T15:30:00Z"}, // half an hour on
	{"Africa/Casablanca", "2026-02-15T02:00:00Z"},   // back for Ramadan
	{"Africa/Casablanca", "2026-03-22T02:00:00Z"},   // and on again
	{"America/Sao_Paulo", "2018-11-04T03:00:00Z"},   // no midnight, west
	{"America/Sao_Paulo", "2018-02-18T02:00:00Z"},   // midnight comes back
	{"America/Asuncion", "2017-10-01T04:00:00Z"},    // no midnight on the first of a month
	{"America/Havana", "2026-03-08T05:00:00Z"},      // no midnight, west
	{"America/Havana", "2026-11-01T05:00:00Z"},      // midnight twice, on the first
	{"Asia/Beirut", "2026-03-28T22:00:00Z"},         // no midnight, east
	{"Asia/Beirut", "2026-10-24T21:00:00Z"},
	{"Africa/Cairo", "2026-04-23T22:00:00Z"}, // no midnight on a Friday, east
	{"Africa/Cairo", "2026-10-29T21:00:00Z"},
	{"Asia/Amman", "2011-03-31T22:00:00Z"}, // no midnight on the first, east
	{"Asia/Gaza", "2016-03-25T23:00:00Z"},
	{"Asia/Tehran", "2022-03-21T20:30:00Z"}, // no midnight, +03:30
	{"America/Santiago", "2026-09-06T04:00:00Z"},
	{"America/Scoresbysund", "2024-03-31T00:00:00Z"}, // rules and zone change together
	{"Atlantic/Azores", "2026-03-29T01:00:00Z"},      // from -1 to 0
	{"Atlantic/Azores", "2026-10-25T01:00:00Z"},
	{"America/Nuuk", "2023-03-26T01:00:00Z"},
	{"Antarctica/Troll", "2026-03-29T01:00:00Z"}, // two hours at once
	{"Antarctica/Troll", "2026-10-25T01:00:00Z"},
	{"Antarctica/Casey", "2020-10-03T16:01:00Z"}, // three hours, at an odd minute
	{"America/Caracas", "2016-05-01T07:00:00Z"},  // half an hour on the first
	{"Asia/Pyongyang", "2018-05-04T15:00:00Z"},
	{"Asia/Kathmandu", "2026-03-29T01:00:00Z"},  // +05:45, never changes
	{"Pacific/Chatham", "2026-09-26T14:00:00Z"}, // +12:45
	{"Pacific/Apia", "2012-03-31T14:00:00Z"},
	{"Pacific/Kiritimati", "2026-12-31T10:00:00Z"}, // +14:00
	{"Pacific/Pago_Pago", "2028-02-29T11:00:00Z"},  // -11:00
	{"Europe/Istanbul", "2016-03-27T01:00:00Z"},
	{"Europe/Volgograd", "2018-10-27T23:00:00Z"},
	{"UTC", "2028-02-28T23:59:59Z"},
}

var zones = func() (names []string) {
	seen := map[string]bool{}
	for _, moment := range moments {
		if !seen[moment.zone] {
			seen[moment.zone] = true
			names = append(names, moment.zone)
		}
	}
	return append(names, "Etc/GMT+12", "Asia/Kolkata", "EST5EDT", "Australia/Eucla")
}()

// usual are tried before, at and after every change.
var usual = []string{
	"* * * * *", "30 * * * *", "0 0 * * *", "30 0 * * *", "0 1 * * *", "30 1 * * *", "0 2 * * *",
	"30 2 * * *", "45 2 * * *", "0 3 * * *", "0 6 * * 1-5", "15 23 * * *", "*/15 0-3 * * *",
	"0 */2 * * *", "0 0 1 * *", "0 6 1 * *", "0 0 * * 0", "0 9 * * 5", "0 9 * * sun",
	"0 0 29 2 *", "30 1 1 1,4,10,11 *", "0 12 31 * 1",
}

// odd are expressions at the edges of the grammar.
var odd = []string{
	"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly",
	"@every 1s", "@every 90m", "@every 1h30m", "@every 1h30m10s", "@every 24h", "@every 0",
	"@every 0s", "@every -5m", "@every +5m", "@every 100ms", "@every 1500ms", "@every 1.5h",
	"@every 1.999999999s", "@every .5m", "@every 5.m", "@every 2562047h47m16.854775807s",
	"@every 1us2ns3ms4s", "@every 1µs", "@every 1μs", "@every 2000000µs", "@every 1m1m1m",
	"@every 0.1s0.1s", "@every 3600.9s", "@every -0", "@every 7777m",
	"@every 0.333333333333333333333333h", "@every 000012s",
	"? ? ? ? ?", "* * ? * ?", "0 0 ? * *", "0 0 * * ?", "0 0 ? * 1", "0 0 13 * 5", "0 0 13 * ?",
	"0 0 */1 * 1", "0 0 */2 * 1", "0 0 1-31 * 1", "0 0 13 * */1", "0 0 13 * */2", "0 0 13 * 0-6",
	"0 0 ?/1 * 3", "0 0 ?/2 * 3", "0 0 *,13 * 5", "0 0 13,* * 5", "0 0 13 * 5,*", "0 0 13 * 5,*/2",
	"+5 * * * *", "007 * * * *", "+007 +6 * * *", "*/+5 * * * *", "*/05 * * * *", "1-+5 * * * *",
	"1,,2 * * * *", ",1 * * * *", "1, * * * *", ",,1,,2,, * * * *", ", * * * *", "* , * * *",
	"* * , * *", "* * * , *", "* * * * ,", "* * , * 1", "0 0 13 * ,", "0 0 , * ,",
	"*-5 * * * *", "*-foo * * * *", "*- * * * *", "*-1-2-3 * * * *", "?-x/2 * * * *", "*-5/20 3 * * *",
	"5/20 * * * *", "5-59/20 * * * *", "5/1 * * * *", "0/7 * * * *", "59/5 * * * *", "*/61 * * * *",
	"*/59 * * * *", "*/1000000 * * * *", "*/9223372036854775807 * * * *", "1-5/9 * * * *",
	"5-5 * * * *", "5-5/5 * * * *", "00-09 * * * *", "0-59/1 0-23/1 1-31/1 1-12/1 0-6/1",
	"0 6 * JAN-mar mon-FRI", "0 6 * jAn,Feb,3 tue,4", "0 6 * jan-6/2 *", "0 6 * 6-dec/3 *",
	"0 6 * dec SAT", "0 6 * jan/4 sun/3", "0 6 * */5 sun-sat/5", "0 6 * * FRİ", "0 6 * * frİ-sat",
	"0 6 * 02 06", "0 6 * ? sun", "0 6 31 4 *", "0 6 30 2 *", "0 6 31 2 *", "59 23 31 2 *",
	"0 6 31 2,4,6,9,11 *", "0 0 29 2 *", "0 0 29 2 1", "0 0 29 feb ?", "0 0 31 * *", "0 0 31 1/2 *",
	"0 0 31 2 1", "0 0 30,31 2 *", "59 23 31 12 *", "0 0 1 1 0", "0 0 */31 * *", "0 0 31/5 * *",
	"  0   6 * * *  ", "\t0\t6\t*\t*\t*", "0\n6\n*\n*\n*\n", "\v0 6 * * *\f\r", "0\u00a06 * * *",
	"0\u30006\u2003*\u2028*\u1680*", "0 6\u0085* * *", "\u205f0 6 * * *\u202f",
	"0 6 * * 0,6", "0 6 * * 6,0", "0 6 * * 5-6", "0 6 1-7 * 1", "0 6 8-14 * ?", "1,1,1 1,1 1 1 *",
	"0-10,20-30/5,45,50-59/3 * * * *", "13 3,15 */9 */2 *", "0 0 1,15 * 3", "17 4 8-14 * *",
}

// skippedDay meets the day that Samoa left out, 30 December 2011.
var skippedDay = []string{
	"0 0 * * *", "0 6 * * *", "0 6 30 * *", "0 6 30,31 12 *", "0 6 29-31 * *", "*/30 * * * *",
	"0 6 * * 5,6", "0 12 * * 4,5,6", "0 6 31 * *",
}

var refused = []string{
	"", " ", "\t\n", "*", "* *", "* * *", "* * * *", "* * * * * *", "0 0 0 1 1 *", "0 0 1 1 * 2030",
	"60 * * * *", "61 * * * *", "* 24 * * *", "* 25 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *",
	"* * * 13 *", "* * * * 7", "* * * * 8", "0 0 * * 1-7", "0 0 * * 5-7", "0 0 * * 7/2", "0 0 * * 0-7",
	"0 0 * * sun-7", "-1 * * * *", "1- * * * *", "-1-5 * * * *", "1--5 * * * *", "1-2-3 * * * *",
	"- * * * *", "--- * * * *", "5-1 * * * *", "* 23-22 * * *", "* * 31-1 * *", "* * * dec-jan *",
	"* * * * fri-mon", "* * * * sat-sun", "*/0 * * * *", "*/-1 * * * *", "*/-0 * * * *", "*/ * * * *",
	"/ * * * *", "/5 * * * *", "*/5/2 * * * *", "*//5 * * * *", "1-5/0 * * * *", "*/a * * * *",
	"*/1.5 * * * *", "1.5 * * * *", "0x5 * * * *", "1e1 * * * *", "1_0 * * * *", "5a * * * *",
	"a5 * * * *", "a * * * *", "** * * * *", "*5 * * * *", "5* * * * *", "*? * * * *", "?? * * * *",
	"*+5 * * * *", "++5 * * * *", "+ * * * *", "+-5 * * * *", "1;2 * * * *", "1:30 * * * *",
	"\u0665 * * * *", "\uff15 * * * *", "5\u200b * * * *", "5\x1c* * * *", "99999999999999999999 * * * *",
	"*/9223372036854775808 * * * *", "18446744073709551616 * * * *", "60-61 * * * *", "0-60 * * * *",
	"0-59/ * * * *", "60/5 * * * *", "70/5 * * * *", "24/2 * * * *  *", "* 24/2 * * *", "* * 0/5 * *",
	"* * 32/5 * *", "* * * 13/2 *", "* * 0-5 * *", "* * * 0-5 *", "0,60 * * * *", "0,,60 * * * *",
	"0 0 L * *", "0 0 LW * *", "0 0 15W * *", "0 0 * * 5L", "0 0 * * 5#2", "0 0 * * mon#1", "0 0 L-3 * *",
	"H * * * *", "H/15 * * * *", "R * * * *", "0 0 ~ * *", "0~59 * * * *", "% * * * *", "! * * * *",
	"0 0 * january *", "0 0 * * monday", "0 0 * * su", "0 0 * jann *", "0 0 * * mon-", "0 0 * * -mon",
	"0 0 * mon *", "0 0 * * jan", "jan * * * *", "0 sun * * *", "0 0 mon * *", "0 0 * * mon/tue",
	"0 0 * * */mon", "0 0 * jan/feb *", "0 0 * * mo n", "0 0 * * lun", "0 0 * ene *", "0 0 * dez *",
	"0 0 * * ſun", "0 0 * mär *", "0 0 * * FRı",
	"@", "@reboot", "@Daily", "@DAILY", "@daily ", " @daily", "@daily\n", "@daily 5", "@hour", "@weekday",
	"@weekdays", "@fortnightly", "@secondly", "@minutely", "@quarterly", "@every", "@every ", "@every  1h",
	"@every 1h ", "@every 1", "@every 5 m", "@every 1d", "@every 1w", "@every 1M", "@every 1H", "@every h",
	"@every .s", "@every .", "@every -", "@every +", "@every --1h", "@every 1h-5m", "@every 1e3s",
	"@every 0x1s", "@every 1_000s", "@every 2562047h47m16.854775808s", "@every 9223372036854775808ns",
	"@every 9223372037s", "@every 99999999999999999999s", "@every 1h,30m", "@every 1 hour", "@every ٥m",
	"@every\t1h", "@every PT1H", "@every 1.2.3s", "@every 1..s", "@every 1s1", "@EVERY 1h", "@@daily",
	"TZ=UTC 0 0 * * *", "TZ=Europe/Madrid 0 0 * * *", "CRON_TZ=UTC 0 0 * * *",
	"CRON_TZ=Europe/Madrid 0 0 * * *", "TZ=UTC @daily", "TZ=UTC", "TZ=", "TZ= 0 0 * * *", "CRON_TZ=UTC",
	"TZ=Mars/Olympus 0 0 * * *", "TZ=Local 0 0 * * *", "tz=UTC 0 0 * * *", "cron_tz=UTC 0 0 * * *",
	" TZ=UTC 0 0 * * *", "0 0 * * * TZ=UTC", "0 0 * * * Europe/Madrid", "*-TZ 0 * * *", "TZ=UTC @every 1h",
	"every 5 minutes", "daily", "hello", "0 6 * * 1-5 # weekdays", "0 6 * * 1-5;", "\"0 6 * * *\"",
	"'0 6 * * *'", "0 6 * * * /bin/true", "0,6 * * *", "0 6 * *", "0-6", "{{ cron }}", "${CRON}",
	"∗ ∗ ∗ ∗ ∗", "0 6 * * 1–5", "0 6 * * 1—5", "०  * * * *",
}

var bounds = []struct {
	low, high int
	names     []string
}{
	{0, 59, nil},
	{0, 23, nil},
	{1, 31, nil},
	{1, 12, []string{"jan", "Feb", "MAR", "apr", "May", "jun", "jul", "AUG", "sep", "oct", "nov", "DEC"}},
	{0, 6, []string{"sun", "MON", "tue", "Wed", "thu", "fri", "SAT"}},
}

// expression makes up a valid one.
func expression(random *rand.Rand) string {
	if random.Intn(40) == 0 {
		return fmt.Sprintf("@every %dm%ds", random.Intn(3000), random.Intn(100))
	}
	fields := make([]string, len(bounds))
	for i := range bounds {
		if random.Intn(10) < []int{1, 1, 5, 6, 5}[i] {
			fields[i] = "*"
			continue
		}
		parts := make([]string, 1+random.Intn(3)*random.Intn(2))
		for j := range parts {
			parts[j] = part(random, i)
		}
		fields[i] = strings.Join(parts, ",")
	}
	return strings.Join(fields, " ")
}

func part(random *rand.Rand, field int) string {
	b := bounds[field]
	size := b.high - b.low + 1
	low := b.low + random.Intn(size)
	// Small hours are where the clocks change.
	if field == 1 && random.Intn(2) == 0 {
		low = random.Intn(4)
	}
	high := low + random.Intn(b.high-low+1)
	switch random.Intn(9) {
	case 0:
		return fmt.Sprintf("*/%d", 1+random.Intn(size))
	case 1:
		return fmt.Sprintf("%s-%s", value(random, field, low), value(random, field, high))
	case 2:
		return fmt.Sprintf("%d-%d/%d", low, high, 1+random.Intn(size))
	case 3:
		return fmt.Sprintf("%d/%d", low, 1+random.Intn(size))
	case 4:
		if random.Intn(4) == 0 {
			return "?"
		}
	}
	return value(random, field, low)
}

func value(random *rand.Rand, field, number int) string {
	b := bounds[field]
	if b.names != nil && random.Intn(2) == 0 {
		return b.names[number-b.low]
	}
	return fmt.Sprint(number)
}

// spoil changes a character or two.
func spoil(random *rand.Rand, expr string) string {
	const characters = "0123456789*?/-,@ +LW#ajz"
	text := []byte(expr)
	for n := 1 + random.Intn(2); n > 0; n-- {
		at := random.Intn(len(text))
		c := characters[random.Intn(len(characters))]
		switch random.Intn(3) {
		case 0:
			text[at] = c
		case 1:
			text = append(text[:at], append([]byte{c}, text[at:]...)...)
		default:
			text = append(text[:at], text[at+1:]...)
		}
	}
	return string(text)
}
