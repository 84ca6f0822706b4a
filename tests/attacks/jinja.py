"""Templates: ways out of the sandbox, objects that print themselves, and bombs."""

from __future__ import annotations

from tests.attacks.vectors import Vector, Who

CANARY = "CANARY-of-the-process"  # in the environment of the process that renders

# -- ways out -------------------------------------------------------------------------------

# An object of the template, and how it is called.
_ROOTS = {
    "text": "''",
    "list": "[]",
    "dict": "{}",
    "number": "(1)",
    "source": "sources.a",
    "row": "sources.a.rows[0]",
    "column": "sources.a.column",
    "table": "table",
    "date": "report_date",
    "slot": "slot",
    "chart": "charts",
    "parameters": "parameters",
    "range": "range",
    "dict-global": "dict",
    "cycler": "cycler",
    "joiner": "joiner",
    "namespace": "namespace",
    "self": "self",
    "loop-variable": "caller",
}
_WALKS = {
    "class": "{{ ROOT.__class__.__mro__ }}",
    "subclasses": "{{ ROOT.__class__.__base__.__subclasses__() }}",
    "globals": "{{ ROOT.__init__.__globals__ }}",
    "item-class": "{{ ROOT['__class__'] }}",
    "attr-filter": "{{ ROOT | attr('__class__') }}",
    "map-attribute": "{{ [ROOT] | map(attribute='__class__') | list }}",
}
_WAYS_OUT = {
    f"{root}-{walk}": text.replace("ROOT", path)
    for root, path in _ROOTS.items()
    for walk, text in _WALKS.items()
} | {
    "format-attribute": "{{ '{0.__class__}'.format(sources.a) }}",
    "format-mro": "{{ '{0.__class__.__mro__}'.format('') }}",
    "format-globals": "{{ '{0.__init__.__globals__}'.format(sources.a) }}",
    "format-map": "{{ '{a.__class__}'.format_map({'a': sources.a}) }}",
    "format-markup": "{{ ('{0.__class__}' | safe).format(sources.a) }}",
    "format-nested": "{{ '{0:{1.__class__}}'.format(1, sources.a) }}",
    "format-by-map": "{{ ['{0.__class__}'] | map('format', sources.a) | list }}",
    "format-bound": "{% set f = '{0.__class__}'.format %}{{ f(sources.a) }}",
    "format-attr": "{{ ('{0.__class__}' | attr('format'))(sources.a) }}",
    "attr-concatenated": "{{ sources.a | attr('__cl' ~ 'ass__') }}",
    "attr-hex": '{{ sources.a | attr("\\x5f\\x5fclass\\x5f\\x5f") }}',
    "attr-join": "{{ sources.a | attr(['__', 'class', '__'] | join) }}",
    "attr-reversed": "{{ sources.a | attr('__ssalc__' | reverse) }}",
    "attr-from-parameter": "{{ sources.a | attr(parameters.dunder) }}",
    "attr-private": "{{ sources.a._table }}",
    "attr-private-filter": "{{ sources.a | attr('_table') }}",
    "getitem-private": "{{ sources.a['_table'] }}",
    "map-attr": "{{ [sources.a] | map('attr', '__class__') | list }}",
    "sort-attribute": "{{ [sources.a] | sort(attribute='__class__.__name__') }}",
    "selectattr": "{{ [sources.a] | selectattr('__class__') | list }}",
    "unique-attribute": "{{ [sources.a] | unique(attribute='__class__') | list }}",
    "sum-attribute": "{{ [sources.a] | sum(attribute='__class__', start='') }}",
    "join-attribute": "{{ [sources.a] | join(',', attribute='__class__') }}",
    "dotted-attribute": "{{ [sources.a] | map(attribute='__init__.__globals__') | list }}",
    "cycler-globals": "{{ cycler.__init__.__globals__.os.environ }}",
    "joiner-globals": "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
    "namespace-globals": "{{ namespace.__init__.__globals__ }}",
    "namespace-set": "{% set n = namespace() %}{% set n.__class__ = 1 %}{{ n }}",
    "lipsum": "{{ lipsum.__globals__ }}",
    "self-block": "{% block b %}x{% endblock %}{{ self.b.__globals__ }}",
    "self-context": "{{ self._TemplateReference__context }}",
    "context": "{{ context.environment }}",
    "macro": "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
    "macro-func": "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "macro-environment": "{% macro m() %}{% endmacro %}{{ m._environment }}",
    "caller": "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "loop": "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "loop-private": "{% for x in [1] %}{{ loop._iterator }}{% endfor %}",
    "loop-recurse": "{% for x in [[1]] recursive %}{{ loop._recurse }}{% endfor %}",
    "exception-undefined": "{{ missing.__class__ }}",
    "undefined-exception": "{{ missing._undefined_exception }}",
    "generator-frame": "{{ (sources.a.rows | map('string')).gi_frame }}",
    "generator-globals": "{{ (sources.a.rows | map('string')).gi_frame.f_globals }}",
    "async-frame": "{{ (sources.a.rows | map('string')).ag_frame }}",
    "coroutine": "{{ (sources.a.rows | map('string')).cr_frame }}",
    "code": "{{ sources.a.column.__code__ }}",
    "func": "{{ sources.a.column.__func__ }}",
    "bound-self": "{{ sources.a.column.__self__ }}",
    "wrapped": "{{ table.__wrapped__ }}",
    "import-os": "{% import 'os' as os %}{{ os }}",
    "include-passwd": "{% include '/etc/passwd' %}",
    "include-relative": "{% include '../../../../etc/passwd' %}",
    "extends": "{% extends '/etc/passwd' %}",
    "from-import": "{% from 'os' import environ %}{{ environ }}",
    "include-ignore": "{% include ['/etc/passwd'] ignore missing %}",
    "do-append": "{% do sources.a.rows.append(1) %}{{ sources.a.rows }}",
    "do-update": "{% do parameters.update({'x': 1}) %}",
    "do-pop": "{% do parameters.clear() %}",
    "do-setattr": "{% do sources.a.__setattr__('name', 'x') %}",
    "do-class": "{% do ''.__class__ %}{{ ''.__class__ }}",
    "autoescape-option": "{% autoescape ''.__class__ %}{% endautoescape %}",
    "filter-block": "{% filter attr('__class__') %}x{% endfilter %}{{ ''.__class__ }}",
    "xmlattr": "{{ {'x': ''.__class__} | xmlattr }}",
    "tojson-object": "{{ sources.a | tojson }}",
    "debug": "{% debug %}",
    "unicode-dunder": "{{ sources.a.＿＿class＿＿ }}",
    "strftime-environment": "{{ report_date | date('{0.__class__}') }}",
    "percent-format": "{{ '%(__class__)s' % sources.a }}",
}

# Objects of Python that say what they are: no report, and no wrong figure, is made of one.
_OBJECTS = {
    "source": "{{ sources.a }}",
    "source-method": "{{ sources.a.column }}",
    "source-concatenated": "{{ 'x' ~ sources.a }}",
    "source-joined": "{{ [sources.a] | join }}",
    "table-maker": "{{ table }}",
    "range-global": "{{ range }}",
    "dict-global": "{{ dict }}",
    "cycler-global": "{{ cycler }}",
    "cycler-instance": "{{ cycler('a', 'b') }}",
    "joiner-instance": "{{ joiner() }}",
    "namespace-instance": "{{ namespace() }}",
    "macro": "{% macro m() %}{% endmacro %}{{ m }}",
    "generator": "{{ sources.a.rows | map('string') }}",
    "method": "{{ 'x'.upper }}",
    "loop": "{% for x in [1] %}{{ loop }}{% endfor %}",
    "sources": "{{ sources }}",
    "groupby": "{{ [sources.a] | groupby('__class__') }}",
    "max-attribute": "{{ [sources.a] | max(attribute='__class__') }}",
    "pprint": "{{ sources.a | pprint }}",
    "string-filter": "{{ sources.a | string }}",
    "safe-object": "{{ sources.a | safe }}",
    "urlize-object": "{{ sources.a | urlize }}",
    "percent-filter": "{{ '%s' | format(sources.a.column) }}",
}

# -- bombs ----------------------------------------------------------------------------------

_BOMBS = {
    "repeat-text": "{{ 'x' * 2000000000 }}",
    "repeat-text-left": "{{ 2000000000 * 'x' }}",
    "repeat-list": "{{ [1] * 2000000000 }}",
    "repeat-tuple": "{{ (1,) * 2000000000 }}",
    "repeat-twice": "{{ ('x' * 16000000) * 100 }}",
    "repeat-bool": "{{ ('x' * 16000000) * (true + 30) }}",
    "repeat-markup": "{{ ('x' | safe) * 2000000000 }}",
    "repeat-set": "{% set x = 'x' * 1000000 %}{% for i in range(2000) %}{{ x }}{% endfor %}",
    "double": "{% set n = namespace(x='x') %}"
    "{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "double-add": "{% set n = namespace(x='x') %}"
    "{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "double-list": "{% set n = namespace(x=[1]) %}"
    "{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "double-join": "{% set n = namespace(x='x') %}"
    "{% for i in range(40) %}{% set n.x = [n.x, n.x] | join %}{% endfor %}",
    "double-format": "{% set n = namespace(x='x') %}"
    "{% for i in range(40) %}{% set n.x = '%s%s' | format(n.x, n.x) %}{% endfor %}",
    "double-replace": "{% set n = namespace(x='aa') %}"
    "{% for i in range(40) %}{% set n.x = n.x | replace('a', 'aa') %}{% endfor %}",
    "double-method": "{% set n = namespace(x='aa') %}"
    "{% for i in range(40) %}{% set n.x = n.x.replace('a', 'aa') %}{% endfor %}",
    "power": "{{ 9 ** 9 ** 9 }}",
    "power-text": "{{ 2 ** 10000000 }}",
    "power-steps": "{% set n = namespace(x=7) %}"
    "{% for i in range(40) %}{% set n.x = n.x * n.x %}{% endfor %}{{ n.x }}",
    "power-negative": "{{ 2 ** -10000000 }}",
    "power-float": "{{ 9.9 ** 9999 }}",
    "range": "{{ range(10 ** 9) | list }}",
    "range-loop": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "range-product": "{% for a in range(99999) %}{% for b in range(99999) %}"
    "{% for c in range(99999) %}{{ a }}{% endfor %}{% endfor %}{% endfor %}",
    "range-sum": "{{ range(99999) | map('string') | sum(start='') }}",
    "centre": "{{ 'x' | center(2000000000) }}",
    "centre-method": "{{ 'x'.center(2000000000) }}",
    "ljust": "{{ 'x'.ljust(2000000000) }}",
    "zfill": "{{ 'x'.zfill(2000000000) }}",
    "expandtabs": "{{ '\t'.expandtabs(2000000000) }}",
    "indent": "{{ ('x\n' * 1000) | indent(2000000) }}",
    "indent-first": "{{ 'x' | indent(2000000000, first=true) }}",
    "wordwrap": "{{ ('x ' * 100000) | wordwrap(1, wrapstring='x' * 100000) }}",
    "format-width": "{{ '%2000000000s' | format('x') }}",
    "format-precision": "{{ '%.2000000000f' | format(1.0) }}",
    "format-method": "{{ '{:2000000000}'.format('x') }}",
    "percent-width": "{{ '%2000000000d' % 1 }}",
    "tojson-indent": "{{ [[1]] | tojson(indent=2000000000) }}",
    "batch": "{{ [1] | batch(1000000000, 'x') | list }}",
    "slice": "{{ [1] | slice(1000000000) | list }}",
    "lipsum": "{{ lipsum(n=1000000) }}",
    "truncate": "{{ 'x' | truncate(2000000000, end='x' * 16000000) * 20 }}",
    "join-separator": "{{ range(10000) | join('x' * 1000000) }}",
    "replace": "{{ ('x' * 100000) | replace('x', 'y' * 100000) }}",
    "replace-method": "{{ ('x' * 100000).replace('x', 'y' * 100000) }}",
    "translate": "{{ ('x' * 1000000).translate({120: 'y' * 100000}) }}",
    "urlize": "{{ ('http://x ' * 1000000) | urlize }}",
    "striptags": "{{ ('<' * 10000000) | striptags }}",
    "escape": "{{ ('&' * 16000000) | e | e | e | e | e | e | e | e }}",
    "pprint": "{{ range(99999) | list | pprint * 1000 }}",
    "dictsort": "{{ dict.fromkeys(range(99999999)) }}",
    "macro-recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "macro-pair": "{% macro a() %}{{ b() }}{% endmacro %}"
    "{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
    "macro-fan": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}"
    "{% endmacro %}{{ m(60) }}",
    "call-recursion": "{% macro m() %}{{ caller() }}{% endmacro %}"
    "{% macro r() %}{% call m() %}{{ r() }}{% endcall %}{% endmacro %}{{ r() }}",
    "recursive-loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "block-recursion": "{% block b %}{{ self.b() }}{% endblock %}",
    "wide-table": "{% for i in range(99999) %}{{ table(sources.a) }}{% endfor %}",
    "long-table": "{{ table(sources.a.rows * 3000000) }}",
    "number-digits": "{{ (10 ** 900) | string * 1000000 }}",
    "decimals": "{% for i in range(99999) %}{{ 1 | decimals(20) * 1000 }}{% endfor %}",
    "regex-striptags": "{{ ('<!--' * 2000000) | striptags }}",
}

WAYS_OUT = [Vector("template-escape", name, Who.AUTHOR, text) for name, text in _WAYS_OUT.items()]
OBJECTS = [Vector("template-object", name, Who.AUTHOR, text) for name, text in _OBJECTS.items()]
BOMBS = [Vector("template-bomb", name, Who.AUTHOR, text) for name, text in _BOMBS.items()]

# -- data that a template prints ------------------------------------------------------------

SUBJECTS = [
    Vector("template-escape", f"subject-{name}", Who.AUTHOR, text)
    for name, text in {
        "class": "{{ title.__class__.__mro__ }}",
        "format": "{{ '{0.__class__}'.format(title) }}",
        "globals": "{{ cycler.__init__.__globals__ }}",
        "attr": "{{ title | attr('__class__') }}",
        "include": "{% include '/etc/passwd' %}",
    }.items()
]
