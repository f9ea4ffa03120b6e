package treatment_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

func activation() map[string]event.Value {
	return map[string]event.Value{
		"action": str("activate"), "product": str("editor"), "machine_code": str("qxzj-kvqx-zjkv"), "license_key": str("ZJKV-QXQX"),
		"ip": str("192.0.2.77"), "proxy_ip": str("198.51.100.77"), "friendly_name": str("zzqqkk"), "data_object_id": event.IntValue(77),
		"data_object_value": str("jjwwjj@wwjj.example"), "state": str("active"), "version": str("1.2"), "os": str("linux"), "country": str("SE"),
	}
}

func TestEveryBuiltInExampleGivesARowInEveryTable(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	for _, s := range pol.Schemas() {
		for i, example := range s.Examples {
			values, problems := s.Decode(example)
			if len(problems) > 0 {
				t.Fatalf("%s: example %d is not valid", s.Event, i)
			}
			r := event.NewRaw(event.Contents{OccurredAt: now.Add(-time.Hour), Fields: s.FieldNames(), Values: values})
			h := header(s.Event)
			h.Version = s.Version
			rows := apply(t, tr, h, r, &keys{})
			for _, table := range pol.TablesOf(s.Event) {
				row := rows[table.Name]
				if row == nil {
					t.Errorf("%s: example %d has no row in %s", s.Event, i, table.Name)
					continue
				}
				for j, c := range table.Columns {
					if v := row.Values[j]; !v.IsNull() && v.Kind() != c.Kind {
						t.Errorf("%s.%s holds a %s, want %s", table.Name, c.Name, v.Kind(), c.Kind)
					}
				}
			}
		}
	}
}

func TestTokensDifferByWhatTheyAreMadeFor(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	visit := func(edit func(*event.RawHeader), fields map[string]event.Value, k *keys) string {
		h := header("http_access")
		if edit != nil {
			edit(&h)
		}
		if _, ok := fields["status"]; !ok {
			fields["status"] = event.IntValue(200)
		}
		return column(t, pol, apply(t, tr, h, raw(now.Add(-time.Hour), false, fields), k)["http_access"], "visitor").Token()
	}
	ip := func(s string) map[string]event.Value { return map[string]event.Value{"client_ip": str(s)} }
	token := visit(nil, ip("192.0.2.1"), &keys{})
	if token == "" {
		t.Fatal("no token was made")
	}
	if again := visit(nil, ip("::ffff:192.0.2.1"), &keys{}); again != token {
		t.Error("two spellings of one address have two tokens")
	}
	for name, other := range map[string]string{
		"address": visit(nil, ip("192.0.2.2"), &keys{}),
		"service": visit(func(h *event.RawHeader) { h.Service = "blog" }, ip("192.0.2.1"), &keys{}),
		"tenant":  visit(func(h *event.RawHeader) { h.Tenant = "umbrella" }, ip("192.0.2.1"), &keys{}),
		"keyring": visit(nil, ip("192.0.2.1"), &keys{secret: "other"}),
	} {
		if other == token {
			t.Errorf("another %s has the same token", name) // P2
		}
	}
	rows := apply(t, tr, header("login"), raw(now, false, map[string]event.Value{"account": str("192.0.2.1"), "ip": str("192.0.2.1"), "outcome": str("success")}), &keys{})
	if a, b := column(t, pol, rows["login"], "account"), column(t, pol, rows["login"], "source"); a.Token() == b.Token() || a.Token() == token {
		t.Error("tokens of two kinds or two domains are the same")
	}
}

func TestTheFirstAlternativeThatIsWholeMakesTheToken(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	kind := func(fields map[string]event.Value) string {
		k := &keys{}
		rows := apply(t, tr, header("page_view"), raw(now, false, fields), k)
		if column(t, pol, rows["page_view"], "viewer").IsNull() {
			return ""
		}
		return k.asked[0].Kind
	}
	ip, agent, language := str("192.0.2.1"), str("Mozilla/5.0"), str("sv")
	for _, c := range []struct {
		fields map[string]event.Value
		want   string
	}{
		{map[string]event.Value{"user_id": str("ada"), "cookie_id": str("c"), "ip": ip}, "account"},
		{map[string]event.Value{"user_id": str(" "), "cookie_id": str("c"), "ip": ip}, "cookie"},
		{map[string]event.Value{"ip": ip, "language": language, "user_agent": agent}, "ip_language_user_agent"},
		{map[string]event.Value{"ip": ip, "user_agent": agent}, ""},
		{map[string]event.Value{"user_id": str("ada"), "dnt": event.BoolValue(true)}, ""},
		{map[string]event.Value{"user_id": str("ada"), "gpc": event.BoolValue(true)}, ""},
		{map[string]event.Value{"user_id": str("ada"), "dnt": event.BoolValue(false)}, "account"},
	} {
		if got := kind(c.fields); got != c.want {
			t.Errorf("a token of kind %q was made, want %q", got, c.want)
		}
	}
}

func TestALastingRowHoldsNothingOfTheIdentifiedOne(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	occurred := now.Add(-90*time.Minute - 17*time.Second)
	r := raw(occurred, true, activation())
	rows := apply(t, tr, header("activation"), r, &keys{})
	identified, lasting := rows["activation"], rows["activation_lasting"]
	if identified == nil || lasting == nil {
		t.Fatal("an activation does not give two rows")
	}
	for name, v := range activation() { // P7
		if slices.Contains([]string{"machine_code", "license_key", "ip", "proxy_ip", "friendly_name", "data_object_value"}, name) {
			if shows(lasting, v.Str()) {
				t.Errorf("the lasting row shows %s", name)
			}
			if shows(identified, v.Str()) && name != "ip" && name != "proxy_ip" {
				t.Errorf("the identified row shows %s", name)
			}
		}
	}
	for i, v := range lasting.Values {
		if v.Kind() == event.Token {
			t.Errorf("lasting column %d holds a token", i)
		}
	}
	if !lasting.OccurredAt.Equal(occurred.Truncate(time.Hour)) || !lasting.ID.Time().Equal(occurred.Truncate(time.Hour)) {
		t.Error("the lasting row is more precise than an hour")
	}
	if string(lasting.ID.Payload()) == string(identified.ID.Payload()) || lasting.Epoch != 0 {
		t.Error("the lasting row can be joined to the identified one")
	}
	if event.DayOf(lasting.ExpiresAt) != event.Never || identified.ID != r.ID() || !identified.OccurredAt.Equal(occurred) {
		t.Error("the rows do not keep what their rules say")
	}
	if c := column(t, pol, identified, "client_net"); c.Str() != "192.0.2.0/24" { // P3
		t.Error("the identified row does not keep the network")
	}
}

func TestARepeatedEventHasTheSameLastingIDWhileTheKeyLives(t *testing.T) {
	tr := treatment.New(builtIn(t))
	id := func(identified bool, secret string) event.ID {
		return apply(t, tr, header("activation"), raw(now, identified, activation()), &keys{secret: secret})["activation_lasting"].ID
	}
	first, again := id(true, ""), id(true, "")
	if first != again {
		t.Error("a repeated event has two lasting ids")
	}
	if first == id(true, "other") {
		t.Error("the lasting id does not depend on the key")
	}
	if first, again := id(false, ""), id(false, ""); first == again {
		t.Error("an event that its publisher did not name has a lasting id that can be made again")
	}
}

func TestAnEventPastItsRuleGivesNoRow(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	class, _ := pol.Class("activation")
	for occurred := now.AddDate(-3, 0, 0); occurred.Before(now); occurred = occurred.AddDate(0, 1, 0) {
		rows, rejected, err := tr.Apply(header("activation"), []event.Raw{raw(occurred, true, activation())}, now, &keys{})
		if err != nil || len(rejected) > 0 {
			t.Fatalf("treating: %v, rejected %+v", err, rejected)
		}
		want := 2
		if !now.Before(class.ExpiresAt(occurred)) {
			want = 0 // nor a lasting one: it never comes in without the other
		}
		if len(rows) != want || pol.Expired("activation", occurred, now) != (want == 0) {
			t.Errorf("an activation %d days old gives %d rows, want %d", int(now.Sub(occurred).Hours()/24), len(rows), want)
		}
	}
}

func TestARowBridgesTwoEpochs(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	table, _ := pol.Table("http_access")
	edge := table.Domain.EpochStart(table.Domain.Epoch(now))
	tokens := func(at time.Time, k *keys) (this, before event.Value) {
		r := raw(at, false, map[string]event.Value{"client_ip": str("192.0.2.1"), "status": event.IntValue(200)})
		rows, rejected, err := tr.Apply(header("http_access"), []event.Raw{r}, at.Add(time.Minute), k)
		if err != nil || len(rejected) > 0 || len(rows) != 1 {
			t.Fatalf("treating: %v, rejected %+v, %d rows", err, rejected, len(rows))
		}
		row := rows[0].Row()
		if want := table.Domain.Mark(table.Domain.Epoch(at)); row.Epoch != want {
			t.Errorf("row of epoch %d, want %d", row.Epoch, want)
		}
		return column(t, pol, row, "visitor"), column(t, pol, row, "visitor_prev")
	}
	last, none := tokens(edge.Add(-time.Second), &keys{})
	first, bridged := tokens(edge, &keys{})
	late, after := tokens(edge.Add(table.Domain.Bridge), &keys{})
	switch {
	case last.Token() == first.Token():
		t.Error("two epochs have one token")
	case first.Token() != late.Token():
		t.Error("one epoch has two tokens")
	case bridged.Token() != last.Token():
		t.Error("the bridge does not lead to the epoch before")
	case !none.IsNull() || !after.IsNull():
		t.Error("a row outside the bridge bears two tokens")
	}
	gone := &keys{destroyed: map[int64]bool{table.Domain.Previous(table.Domain.Epoch(edge)): true}}
	if this, before := tokens(edge, gone); this.IsNull() || !before.IsNull() {
		t.Error("a destroyed epoch before stops the row or makes a token")
	}
}

func TestADestroyedEpochRejectsAndAMissingKeyringDoesNot(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	table, _ := pol.Table("activation")
	raws := []event.Raw{raw(now, true, activation()), raw(now, true, activation())}
	rows, rejected, err := tr.Apply(header("activation"), raws, now, &keys{destroyed: map[int64]bool{table.Domain.Epoch(now): true}})
	if err != nil || len(rows) != 0 || len(rejected) != 2 || rejected[1].Index != 1 || rejected[0].Code != "epoch" {
		t.Errorf("a destroyed epoch gives %d rows, %+v, %v", len(rows), rejected, err)
	}
	rows, rejected, err = tr.Apply(header("activation"), raws, now, &keys{down: errDown})
	if !isDown(err) || len(rows) != 0 || len(rejected) != 0 {
		t.Errorf("an absent keyring gives %d rows, %+v, %v", len(rows), rejected, err)
	}
}

func TestARejectedEventHasNoRowAndNamesTheField(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	bad := activation()
	bad["machine_code"] = str("qq\u200bqq")
	worse := activation()
	worse["product"] = event.IntValue(7)
	rows, rejected, err := tr.Apply(header("activation"), []event.Raw{raw(now, true, activation()), raw(now, true, bad), raw(now, true, worse), raw(now, true, activation())}, now, &keys{})
	if err != nil || len(rows) != 4 || len(rejected) != 2 {
		t.Fatalf("%d rows, %+v, %v", len(rows), rejected, err)
	}
	want := []treatment.Rejected{
		{Index: 1, Code: "control.machine_code", Reason: "field machine_code holds control or format characters"},
		{Index: 2, Code: "type.product", Reason: "field product is not of the type that the policy says"},
	}
	if !slices.Equal(rejected, want) {
		t.Errorf("rejected %+v, want %+v", rejected, want)
	}
}

func TestWhatThePolicyDoesNotKnowIsRejectedOrDropped(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	later := header("http_access")
	later.Version = 99
	for _, h := range []event.RawHeader{header("unheard_of"), later} {
		rows, rejected, err := tr.Apply(h, make([]event.Raw, 3), now, &keys{})
		if err != nil || len(rows) != 0 || len(rejected) != 3 || rejected[2].Code != "version" {
			t.Errorf("an unknown version gives %d rows, %+v, %v", len(rows), rejected, err)
		}
	}
	// Two events of one call that do not share their fields, in any order.
	raws := []event.Raw{
		raw(now, false, map[string]event.Value{"client_ip": str("192.0.2.1"), "status": event.IntValue(200), "shoe_size": str("qxzjkv")}),
		raw(now, false, map[string]event.Value{"status": event.IntValue(404)}),
		raw(now, false, map[string]event.Value{"method": str("GET"), "path": str("/"), "client_ip": str("192.0.2.1"), "status": event.IntValue(500)}),
	}
	rows, rejected, err := tr.Apply(header("http_access"), raws, now, &keys{})
	if err != nil || len(rows) != 3 || len(rejected) != 0 {
		t.Fatalf("%d rows, %+v, %v", len(rows), rejected, err)
	}
	for i, want := range []int64{200, 404, 500} {
		row := rows[i].Row()
		if got := column(t, pol, row, "status").Int(); got != want || shows(row, "qxzjkv") {
			t.Errorf("row %d has status %d, want %d, or shows what no schema names", i, got, want)
		}
	}
	if v := column(t, pol, rows[1].Row(), "visitor"); !v.IsNull() {
		t.Error("an absent address has a token")
	}
}

func TestCoarseTimeIsCoarseEverywhere(t *testing.T) {
	class := &policy.Class{Name: "short", Period: policy.Period{Days: 30}}
	domain := &policy.Domain{Name: "d/short", Length: 64 * 24 * time.Hour, Bridge: 32 * 24 * time.Hour}
	table := &policy.Table{Name: "t", Event: "e", Class: class, Domain: domain, TimeTo: time.Hour}
	tr := treatment.ForTables([]*policy.Table{table})
	tr.Knows("e", 1)
	occurred := now.Add(-(29*time.Minute + 31*time.Second))
	row := apply(t, tr, header("e"), raw(occurred, true, nil), &keys{})["t"]
	hour := occurred.Truncate(time.Hour)
	if !row.OccurredAt.Equal(hour) || !row.ID.Time().Equal(hour) || !row.ExpiresAt.Equal(hour.AddDate(0, 0, 30)) {
		t.Error("a row of a coarse table shows when it happened")
	}
	if again := apply(t, tr, header("e"), raw(occurred, true, nil), &keys{})["t"]; again.ID != row.ID {
		t.Error("a repeated event has two ids")
	}
}
