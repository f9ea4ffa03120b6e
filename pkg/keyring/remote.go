package keyring

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// RemoteConfig says where a keyring listens and who asks.
type RemoteConfig struct {
	// Addr is the keyring's host and port.
	Addr string
	// TLS holds the caller's certificate and the authority of the keyring's.
	// See [ClientTLS].
	TLS *tls.Config
	// Timeout bounds one call. Zero is 10 seconds.
	Timeout time.Duration
}

// A Remote is a keyring in another process. Its powers are those of
// [Keyring]; the keyring grants only the one that the caller's certificate
// has, and answers [fault.Denied] to the verbs of the others. A keyring that
// cannot be reached is [fault.Unavailable].
//
// There is no remote [Pseudonymizer]: it makes a token in a tenth of a
// microsecond from a key that never leaves the keyring's process, so it lives
// there.
type Remote struct{ hidden[*link] }

// A link is the way to a keyring.
type link struct {
	url    string
	client *http.Client
}

// Dial prepares to call a keyring. It does not connect: the keyring may start
// later, and come and go.
func Dial(c RemoteConfig) (*Remote, error) {
	if c.Addr == "" || c.TLS == nil {
		return nil, fault.Invalid.Errorf("remote keyring: Addr and TLS are needed")
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	t := c.TLS.Clone()
	t.MinVersion = tls.VersionTLS13
	return &Remote{hide(&link{
		url: "https://" + c.Addr + wirePath,
		client: &http.Client{
			Timeout: c.Timeout,
			Transport: &http.Transport{
				TLSClientConfig:     t,
				MaxIdleConnsPerHost: 16,
				IdleConnTimeout:     time.Minute, // sooner than the server's
				// Batches of frames pass here.
				WriteBufferSize: 64 << 10,
				ReadBufferSize:  64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})}, nil
}

// Close gives back idle connections.
func (r *Remote) Close() error {
	r.open().client.CloseIdleConnections()
	return nil
}

// Gateway returns the remote power to seal raw frames and to name events. Keep
// the value: it holds the hours' public keys, three hours ahead, so that it
// can seal while the keyring is away. It asks for them again every ten
// minutes, and learns of a destruction then; what it sealed to a destroyed key
// meanwhile, nothing opens.
func (r *Remote) Gateway() Gateway {
	return remoteGateway{r.hidden, hide(&publicKeys{tenants: map[string]*tenantKeys{}})}
}

// Loader returns the remote power to open clean frames.
func (r *Remote) Loader() Loader { return remoteLoader{r.hidden} }

// Retention returns the remote power to destroy keys.
func (r *Remote) Retention() Retention { return remoteRetention{r.hidden} }

// Rights returns the remote power to answer a person's request.
func (r *Remote) Rights() Rights { return remoteRights{r.hidden} }

// Hold returns the remote power to copy what a legal hold covers.
func (r *Remote) Hold() Hold { return remoteHold{r.hidden} }

// Cells returns the remote power to publish numbers.
func (r *Remote) Cells() Cells { return remoteCells{r.hidden} }

// call asks for a verb. Every verb can be asked twice and done once.
func (l *link) call(ctx context.Context, verb string, message []byte) (*fields, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+verb, bytes.NewReader(message))
	if err != nil {
		return nil, fault.Invalid.Errorf("calling the keyring: %w", err)
	}
	req.Header.Set("Content-Type", wireType)
	// An empty value is not sent, and tells net/http that it may repeat the
	// request when an idle connection turns out to be dead.
	req.Header["Idempotency-Key"] = []string{}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, unreachable(ctx, verb, err)
	}
	defer resp.Body.Close()
	body, err := readMessage(resp.Body, resp.ContentLength)
	if errors.Is(err, fault.Exhausted) {
		return nil, fmt.Errorf("asking the keyring to %s: %w", verb, err)
	}
	if err != nil {
		return nil, unreachable(ctx, verb, err)
	}
	if resp.StatusCode != http.StatusOK {
		var p fault.Problem
		if json.Unmarshal(body, &p) != nil || p.Detail == "" {
			p.Detail = resp.Status
		}
		return nil, fmt.Errorf("asking the keyring to %s: %w", verb, readFault(resp.Header.Get(faultName), p.Detail))
	}
	return &fields{b: body}, nil
}

func unreachable(ctx context.Context, verb string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("asking the keyring to %s: %w", verb, ctx.Err())
	}
	return fault.Unavailable.Errorf("asking the keyring to %s: %w", verb, err)
}

// one reads an answer of one field.
func (l *link) one(ctx context.Context, verb string, message []byte) ([]byte, error) {
	out, err := l.call(ctx, verb, message)
	if err != nil {
		return nil, err
	}
	b := out.bytes()
	return b, out.done()
}

// none reads an empty answer.
func (l *link) none(ctx context.Context, verb string, message []byte) error {
	out, err := l.call(ctx, verb, message)
	if err != nil {
		return err
	}
	return out.done()
}

// several reads an answer of n fields.
func (l *link) several(ctx context.Context, verb string, message []byte, n int) ([][]byte, error) {
	out, err := l.call(ctx, verb, message)
	if err != nil {
		return nil, err
	}
	all := out.rest()
	if err := out.done(); err != nil {
		return nil, err
	}
	if len(all) != n {
		return nil, errMessage
	}
	return all, nil
}

type remoteLoader struct{ hidden[*link] }

func (r remoteLoader) OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error) {
	return r.open().one(ctx, "open-clean", cleanFrame(tenant, class, day, aad, sealed))
}

func (r remoteLoader) OpenCleanMany(ctx context.Context, tenant, class, day string, aads, sealed [][]byte) ([][]byte, error) {
	if len(aads) != len(sealed) {
		return nil, fault.Invalid.Errorf("as many headers as frames are needed")
	}
	plain := make([][]byte, 0, len(sealed))
	for len(plain) < len(sealed) {
		from := len(plain)
		to, size := from, 0
		for to < len(sealed) && (to == from || size+len(aads[to])+len(sealed[to]) < maxBatch) {
			size += len(aads[to]) + len(sealed[to]) + 2*binary.MaxVarintLen64
			to++
		}
		message := cleanMessage(tenant, class, day, size)
		for n := from; n < to; n++ {
			message = appendField(appendField(message, aads[n]), sealed[n])
		}
		opened, err := r.open().several(ctx, "open-clean", message, to-from)
		if err != nil {
			return nil, err
		}
		plain = append(plain, opened...)
	}
	return plain, nil
}

// cleanMessage begins a message about a clean key, with room for size bytes
// more.
func cleanMessage(tenant, class, day string, size int) []byte {
	message := make([]byte, 0, len(tenant)+len(class)+len(day)+3*binary.MaxVarintLen64+size)
	return appendField(appendField(appendField(message, tenant), class), day)
}

func cleanFrame(tenant, class, day string, aad, body []byte) []byte {
	message := cleanMessage(tenant, class, day, len(aad)+len(body)+2*binary.MaxVarintLen64)
	return appendField(appendField(message, aad), body)
}

type remoteRetention struct{ hidden[*link] }

func (r remoteRetention) DestroyRaw(ctx context.Context, tenant string, hour time.Time) error {
	return r.open().none(ctx, "destroy-raw", appendTime(appendField(nil, tenant), hour))
}

func (r remoteRetention) DestroyQuarantine(ctx context.Context, tenant, day string) error {
	return r.open().none(ctx, "destroy-quarantine", appendField(appendField(nil, tenant), day))
}

func (r remoteRetention) DestroyClean(ctx context.Context, class, day string) error {
	return r.open().none(ctx, "destroy-clean", appendField(appendField(nil, class), day))
}

func (r remoteRetention) DestroyEpoch(ctx context.Context, domain string, epoch int64) error {
	return r.open().none(ctx, "destroy-epoch", appendInt(appendField(nil, domain), epoch))
}

func (r remoteRetention) List(ctx context.Context) ([]KeyInfo, error) {
	return r.listing(ctx, "list")
}

func (r remoteRetention) Live(ctx context.Context) ([]KeyInfo, error) { return r.listing(ctx, "live") }

func (r remoteRetention) listing(ctx context.Context, verb string) ([]KeyInfo, error) {
	b, err := r.open().one(ctx, verb, nil)
	if err != nil {
		return nil, err
	}
	var infos []KeyInfo
	if err := json.Unmarshal(b, &infos); err != nil {
		return nil, errMessage
	}
	return infos, nil
}

type remoteRights struct{ hidden[*link] }

func (r remoteRights) Tokens(ctx context.Context, keys []TokenKey, parts ...string) (map[TokenKey][TokenSize]byte, error) {
	message := appendInt(nil, int64(len(keys)))
	for _, tk := range keys {
		for _, s := range []string{tk.Domain, tk.Tenant, tk.Service, tk.Kind} {
			message = appendField(message, s)
		}
		message = appendInt(message, tk.Epoch)
	}
	for _, p := range parts {
		message = appendField(message, p)
	}
	all, err := r.open().several(ctx, "tokens", message, len(keys))
	if err != nil {
		return nil, err
	}
	tokens := make(map[TokenKey][TokenSize]byte, len(keys))
	for n, b := range all {
		switch len(b) {
		case 0: // left out
		case TokenSize:
			tokens[keys[n]] = [TokenSize]byte(b)
		default:
			return nil, errMessage
		}
	}
	return tokens, nil
}

func (r remoteRights) OpenRaw(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error) {
	return r.open().one(ctx, "open-raw", appendField(appendField(appendField(nil, tenant), aad), sealed))
}

func (r remoteRights) OpenQuarantine(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error) {
	return r.open().one(ctx, "open-quarantine", appendField(appendField(appendField(nil, tenant), aad), sealed))
}

func (r remoteRights) SealQuarantine(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error) {
	message := appendTime(appendField(nil, tenant), at)
	return r.open().one(ctx, "seal-quarantine", appendField(appendField(message, aad), plain))
}

func (r remoteRights) OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error) {
	return r.open().one(ctx, "open-clean", cleanFrame(tenant, class, day, aad, sealed))
}

func (r remoteRights) SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error) {
	return r.open().one(ctx, "seal-clean", cleanFrame(tenant, class, day, aad, plain))
}

type remoteCells struct{ hidden[*link] }

func (r remoteCells) SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error) {
	return r.open().one(ctx, "seal-clean", cleanFrame(tenant, class, day, aad, plain))
}

type remoteHold struct{ hidden[*link] }

func (r remoteHold) OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error) {
	return r.open().one(ctx, "open-clean", cleanFrame(tenant, class, day, aad, sealed))
}

func (r remoteHold) SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error) {
	return r.open().one(ctx, "seal-clean", cleanFrame(tenant, class, day, aad, plain))
}
