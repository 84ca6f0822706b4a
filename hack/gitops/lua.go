package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

const luaLimit = time.Second // as Argo CD has it

// byLua runs a script with what Argo CD's custom scripts have (util/lua of argo-cd): the interpreter
// gopher-lua, the libraries package, base and table, of os only time and date; `obj` is the object.
func byLua(object *unstructured.Unstructured, script string, now int64) (answer, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(
			lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name),
		); err != nil {
			return answer{}, err
		}
	}
	state.PreloadModule(lua.OsLibName, func(l *lua.LState) int {
		l.Push(l.SetFuncs(l.NewTable(), clock(now)))
		return 1
	})
	ctx, cancel := context.WithTimeout(context.Background(), luaLimit)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, object.Object))
	if err := state.DoString(script); err != nil {
		return answer{}, err
	}
	value, err := luajson.Encode(state.Get(-1))
	return answer{Value: json.RawMessage(value)}, err
}

// clock is os with a time of the caller's choice, so that an answer can be told in advance.
func clock(now int64) map[string]lua.LGFunction {
	at := time.Unix(now, 0).UTC()
	return map[string]lua.LGFunction{
		"time": func(l *lua.LState) int {
			l.Push(lua.LNumber(now))
			return 1
		},
		"date": func(l *lua.LState) int {
			if format := l.OptString(1, ""); format != "!%Y-%m-%dT%H:%M:%SZ" {
				l.RaiseError("os.date: the format %q is not known here", format)
			}
			l.Push(lua.LString(at.Format("2006-01-02T15:04:05Z")))
			return 1
		},
	}
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch given := value.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(given)
	case string:
		return lua.LString(given)
	case int64:
		return lua.LNumber(given)
	case float64:
		return lua.LNumber(given)
	case []any:
		table := state.CreateTable(len(given), 0)
		for _, item := range given {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(given))
		for key, item := range given {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	panic(fmt.Sprintf("%T in an object of the API server", value))
}
