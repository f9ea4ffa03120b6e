package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// usable returns ports that nothing listens on: the same ones where that can
// be, so that a restart is no change for those who know the address.
func (p ports) usable() (ports, error) {
	var err error
	if p.tcp, err = freePort(p.tcp); err != nil {
		return p, err
	}
	for {
		if p.http, err = freePort(p.http); err != nil || p.http != p.tcp {
			return p, err
		}
		p.http = 0
	}
}

// freePort returns port if it is free, and otherwise another. Somebody may
// take it before the engine does; the engine then ends, and is started on the
// next.
func freePort(port int) (int, error) {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil && port != 0 {
		l, err = net.Listen("tcp", loopback(0))
	}
	if err != nil {
		return 0, fmt.Errorf("finding a port for the engine: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// probeClient keeps no connection: the engine would wait for it when it stops.
var probeClient = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true},
	Timeout:   10 * time.Second,
}

// identify asks the server at p where its data is. Anybody could be listening
// there; only ours has our users and our directory. It asks over HTTP, because
// a login that fails on the native port would end the server.
func (e *Engine) identify(ctx context.Context, p ports) error {
	const query = "SELECT path FROM system.disks WHERE name = 'default' FORMAT TSVRaw"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+loopback(p.http)+"/", strings.NewReader(query))
	if err != nil {
		return err
	}
	req.Header.Set("X-ClickHouse-User", e.cfg.Probe.User)
	req.Header.Set("X-ClickHouse-Key", e.cfg.Probe.Password)
	resp, err := probeClient.Do(req)
	if err != nil {
		return fmt.Errorf("probing the engine: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("probing the engine: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("probing the engine: it answers %s, code %s", resp.Status, resp.Header.Get("X-ClickHouse-Exception-Code"))
	}
	if filepath.Clean(strings.TrimSpace(string(body))) != e.DataDir() {
		return errors.New("probing the engine: another server answers on its port")
	}
	return nil
}
