package sqldoor

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// patience is how long an answer may take; the engine gives up before.
	patience = (warehouse.SQLSeconds + 10) * time.Second

	// statementHeader tells the client under which hash its statement is on
	// record.
	statementHeader = "Lethe-Statement"

	exceptionHeader = "X-ClickHouse-Exception-Code"
	formatHeader    = "X-ClickHouse-Format"
	idHeader        = "X-ClickHouse-Query-Id"
	summaryHeader   = "X-ClickHouse-Summary"
)

// formats are those whose answers hold the answer and nothing else. Those with
// progress tell how many rows were read.
var formats = []string{
	"TSV", "TSVRaw", "TSVWithNames", "TSVRawWithNames", "TSVWithNamesAndTypes", "TSVRawWithNamesAndTypes",
	"TabSeparated", "TabSeparatedRaw", "TabSeparatedWithNames", "TabSeparatedRawWithNames",
	"TabSeparatedWithNamesAndTypes", "TabSeparatedRawWithNamesAndTypes",
	"CSV", "CSVWithNames", "CSVWithNamesAndTypes", "Values", "Vertical", "XML", "Markdown", "MsgPack", "Null", "LineAsString", "RawBLOB", "One",
	"JSON", "JSONStrings", "JSONColumns", "JSONColumnsWithMetadata", "JSONCompact", "JSONCompactStrings", "JSONCompactColumns",
	"JSONEachRow", "JSONLines", "NDJSON", "PrettyJSONEachRow", "PrettyJSONLines", "PrettyNDJSON", "JSONStringsEachRow", "JSONObjectEachRow",
	"JSONCompactEachRow", "JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes",
	"JSONCompactStringsEachRow", "JSONCompactStringsEachRowWithNames", "JSONCompactStringsEachRowWithNamesAndTypes",
	"Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "RowBinaryWithDefaults",
	"Arrow", "ArrowStream", "Parquet", "ORC", "Avro",
	"Pretty", "PrettyCompact", "PrettySpace", "PrettyNoEscapes", "PrettyCompactNoEscapes", "PrettySpaceNoEscapes",
	"PrettyMonoBlock", "PrettyCompactMonoBlock", "PrettySpaceMonoBlock",
}

// told are the headers of the engine's answers that the client sees.
var told = []string{
	"Content-Type", "Content-Encoding", formatHeader, "X-ClickHouse-Timezone", exceptionHeader, "X-ClickHouse-Exception-Tag",
}

func newClient(e Engine) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         e.Dial,
			DisableCompression:  true, // what the client asked for, it gets
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     20 * time.Second, // the engine's is 30
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer has a statement checked, runs it, and sends what comes back as it
// comes.
func (d *Door) answer(ctx context.Context, w http.ResponseWriter, q asked, who access.Principal) error {
	canonical, err := d.canonical(ctx, q, who)
	if err != nil {
		return err
	}
	if err := check(canonical, q); err != nil {
		return err
	}
	parameters := url.Values{"query_id": {rand.Text()}, "database": {warehouse.StatsDatabase}}
	for _, more := range []url.Values{q.values, q.settings} {
		for name, values := range more {
			parameters[name] = values
		}
	}
	r, err := d.send(ctx, canonical, parameters, q.encoding, who)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if isBusy(r) {
		return errBusy
	}
	h := w.Header()
	for _, name := range told {
		if v := r.Header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	id := q.id
	if id == "" {
		id = parameters.Get("query_id")
	}
	h.Set(idHeader, id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-ClickHouse-Server-Display-Name", "lethe")
	if r.StatusCode == http.StatusOK {
		if format := r.Header.Get(formatHeader); !slices.Contains(formats, format) {
			h.Del("Content-Type")
			h.Del("Content-Encoding")
			h.Del(formatHeader)
			return fault.Denied.Errorf("answers of this format are not sent")
		}
		// In the shape that clients look for; of what was read, nothing.
		h.Set(summaryHeader, `{"read_rows":"0","read_bytes":"0","written_rows":"0","written_bytes":"0","total_rows_to_read":"0","result_rows":"0","result_bytes":"0","elapsed_ns":"0"}`)
	}
	w.WriteHeader(r.StatusCode)
	return stream(w, r.Body)
}

// isBusy says whether the engine runs as many statements as it takes: other
// processes ask it too. Its own words would tell how many there are.
func isBusy(r *http.Response) bool {
	const tooManySimultaneousQueries = "202"
	return r.Header.Get(exceptionHeader) == tooManySimultaneousQueries
}

// canonical is the statement as the engine writes it down.
func (d *Door) canonical(ctx context.Context, q asked, who access.Principal) (string, error) {
	r, err := d.send(ctx, formatting(q.text), nil, nil, who)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, 8*maxStatement))
	if err != nil {
		return "", fault.Unavailable.Errorf("reading from the engine: %w", err)
	}
	if isBusy(r) {
		return "", errBusy
	}
	if r.StatusCode != http.StatusOK {
		// A statement that cannot be read. The engine says where, and then
		// what it was asked to do about it.
		said, _, _ := strings.Cut(string(text), ": In scope SELECT formatQuery")
		said, _, _ = strings.Cut(said, ": while executing")
		return "", &exception{r.Header.Get(exceptionHeader), strings.TrimSpace(said), r.StatusCode}
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

// send sends a statement to the engine, for a principal. P14: whose cells it is
// about stands in headers that come from the credential alone.
func (d *Door) send(ctx context.Context, statement string, parameters url.Values, encoding []string, who access.Principal) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.cfg.Engine.URL+"/?"+parameters.Encode(), strings.NewReader(statement))
	if err != nil {
		return nil, fmt.Errorf("asking the engine: %w", err)
	}
	services := strings.Join(who.Services, ",")
	if services == "" {
		services = warehouse.AllServices
	}
	r.Header = http.Header{
		"X-Clickhouse-User":     {d.cfg.Engine.User},
		"X-Clickhouse-Key":      {d.cfg.Engine.Password},
		warehouse.ScopeTenant:   {who.Tenant},
		warehouse.ScopeServices: {services},
		"User-Agent":            {"lethe"},
	}
	if len(encoding) > 0 {
		r.Header["Accept-Encoding"] = encoding
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return nil, fault.Unavailable.Errorf("the engine does not answer: %w", bare(err))
	}
	return resp, nil
}

// stream copies an answer as it comes.
func stream(w http.ResponseWriter, body io.Reader) error {
	flush := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return nil // the client has gone, and with it ctx: the engine stops
			}
			_ = flush.Flush()
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			// Half an answer must not look like a whole one.
			panic(http.ErrAbortHandler)
		}
	}
}
