package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/ClickHouse/clickhouse-go/v2"
	drivercolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// codes are the engine's error codes that some caller acts on
// (src/Common/ErrorCodes.cpp).
var codes = map[int32]struct {
	name string
	kind fault.Kind
}{
	40:  {"CHECKSUM_DOESNT_MATCH", fault.Corrupt},
	60:  {"UNKNOWN_TABLE", fault.NotFound},
	81:  {"UNKNOWN_DATABASE", fault.NotFound},
	158: {"TOO_MANY_ROWS", fault.Exhausted},
	159: {"TIMEOUT_EXCEEDED", fault.Exhausted},
	160: {"TOO_SLOW", fault.Exhausted},
	164: {"READONLY", fault.Denied},
	192: {"UNKNOWN_USER", fault.Denied},
	193: {"WRONG_PASSWORD", fault.Denied},
	201: {"QUOTA_EXCEEDED", fault.Exhausted},
	202: {"TOO_MANY_SIMULTANEOUS_QUERIES", fault.Unavailable},
	209: {"SOCKET_TIMEOUT", fault.Unavailable},
	210: {"NETWORK_ERROR", fault.Unavailable},
	232: {"NO_SUCH_DATA_PART", fault.NotFound},
	236: {"ABORTED", fault.Unavailable},
	241: {"MEMORY_LIMIT_EXCEEDED", fault.Exhausted},
	242: {"TABLE_IS_READ_ONLY", fault.Unavailable},
	243: {"NOT_ENOUGH_SPACE", fault.Exhausted},
	246: {"CORRUPTED_DATA", fault.Corrupt},
	252: {"TOO_MANY_PARTS", fault.Unavailable},
	307: {"TOO_MANY_BYTES", fault.Exhausted},
	394: {"QUERY_WAS_CANCELLED", fault.Unavailable},
	396: {"TOO_MANY_ROWS_OR_BYTES", fault.Exhausted},
	452: {"SETTING_CONSTRAINT_VIOLATION", fault.Denied},
	497: {"ACCESS_DENIED", fault.Denied},
	516: {"AUTHENTICATION_FAILED", fault.Denied},
	999: {"KEEPER_EXCEPTION", fault.Unavailable},
}

// clean replaces an error of the driver or the engine by one that can be shown
// to anyone: its code, and no text, because the engine quotes values.
func clean(err error) error {
	var exception *proto.Exception
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Unavailable.Errorf("the engine did not answer in time: %w", context.DeadlineExceeded)
	case errors.As(err, &exception):
		code, ok := codes[exception.Code]
		if !ok {
			return fmt.Errorf("the engine refused with code %d", exception.Code)
		}
		return code.kind.Errorf("the engine refused with code %d (%s)", exception.Code, code.name)
	case misuse(err):
		return fmt.Errorf("the engine's driver refused a value (%T)", err)
	default:
		return fault.Unavailable.Errorf("the connection to the engine failed: %s", transport(err))
	}
}

// lost tells whether the connection broke before an answer came.
func lost(err error) bool {
	var exception *proto.Exception
	return !errors.As(err, &exception) && !misuse(err)
}

// misuse tells a mistake in our use of the driver from a failure on the way.
func misuse(err error) bool {
	var (
		op          *clickhouse.OpError
		block       *proto.BlockError
		columnErr   *drivercolumn.Error
		conversion  *drivercolumn.ColumnConverterError
		unsupported *drivercolumn.UnsupportedColumnTypeError
	)
	return errors.As(err, &op) || errors.As(err, &block) || errors.As(err, &columnErr) ||
		errors.As(err, &conversion) || errors.As(err, &unsupported) ||
		errors.Is(err, clickhouse.ErrBatchInvalid) || errors.Is(err, clickhouse.ErrUnsupportedQueryParameter)
}

// transport describes a failure on the way in words that hold no data.
func transport(err error) string {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Op + " failed"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "it was closed"
	case errors.Is(err, clickhouse.ErrAcquireConnTimeout):
		return "none came free in time"
	}
	return fmt.Sprintf("%T", err)
}
