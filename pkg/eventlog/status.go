package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	statusTopic = "lethe.status"

	// rateSamples, one every rateEvery, are what rates are measured over.
	rateSamples = 10
	rateEvery   = time.Second
)

// StageStatus is what one stage of the flow says of itself.
type StageStatus struct {
	Stage   string             `json:"stage"`
	Numbers map[string]float64 `json:"numbers"`
	// Rates are by how much each number grew a second, over the last ten.
	Rates map[string]float64 `json:"rates"`
}

// ServeStatus answers status requests for a stage with its numbers, which
// should only grow, and their rates. Stop ends it.
func ServeStatus(nc *nats.Conn, stage string, log *slog.Logger, numbers func() map[string]float64) (stop func(), err error) {
	var mu sync.Mutex // guards samples
	samples := []sample{{time.Now(), numbers()}}
	sub, err := nc.Subscribe(statusTopic, func(msg *nats.Msg) {
		if !isInbox(msg.Reply) {
			return
		}
		mu.Lock()
		oldest := samples[0]
		mu.Unlock()
		at := sample{time.Now(), numbers()}
		body, err := json.Marshal(StageStatus{Stage: stage, Numbers: at.numbers, Rates: at.ratesSince(oldest)})
		if err == nil {
			err = msg.Respond(body)
		}
		if err != nil {
			log.Warn("reply failed", "topic", statusTopic, "err", err)
		}
	})
	if err != nil {
		return nil, unreachable(err)
	}
	if err := nc.Flush(); err != nil {
		return nil, unreachable(err)
	}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(rateEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			mu.Lock()
			samples = append(samples, sample{time.Now(), numbers()})
			if len(samples) > rateSamples {
				samples = samples[1:]
			}
			mu.Unlock()
		}
	})
	return sync.OnceFunc(func() {
		close(quit)
		wg.Wait()
		_ = sub.Unsubscribe() // fails only on a closed connection
	}), nil
}

type sample struct {
	at      time.Time
	numbers map[string]float64
}

func (s sample) ratesSince(old sample) map[string]float64 {
	rates := make(map[string]float64, len(s.numbers))
	seconds := s.at.Sub(old.at).Seconds()
	for name, n := range s.numbers {
		if seconds > 0 {
			rates[name] = (n - old.numbers[name]) / seconds
		}
	}
	return rates
}

// GatherStatus asks every stage how it is and returns the answers that came
// within wait, by stage. A stage that runs more than once answers more than
// once.
func GatherStatus(ctx context.Context, nc *nats.Conn, wait time.Duration) ([]StageStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only on a closed connection
	if err := nc.PublishRequest(statusTopic, inbox, nil); err != nil {
		return nil, unreachable(err)
	}
	var all []StageStatus
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) {
			break
		}
		if err != nil {
			return nil, unreachable(err)
		}
		var s StageStatus
		if json.Unmarshal(msg.Data, &s) == nil && s.Stage != "" {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b StageStatus) int { return strings.Compare(a.Stage, b.Stage) })
	return all, nil
}
