"""Chat templates in the shapes that real models use, written for these tests."""

CHATML = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful assistant.<|im_end|>
' }}{% endif %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

BRACKETS = """{{ bos_token }}{% for message in messages %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}
{%- if message['role'] == 'user' %}{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}
{%- elif message['role'] == 'assistant' %}{{ ' ' + message['content'] | trim + eos_token }}{% endif %}{% endfor %}"""

HEADERS_WITH_TOOLS = """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user_message is defined %}{%- set tools_in_user_message = true %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system_message = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}
{%- if builtin_tools is defined %}{{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}
{%- endif %}
{{- system_message }}{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}{{- raise_exception("This model only supports single tool-calls at once!") }}{%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- if builtin_tools is defined and tool_call.name in builtin_tools %}
            {{- "<|python_tag|>" + tool_call.name + ".call(" }}
            {%- for arg_name, arg_val in tool_call.arguments | items %}{{- arg_name + '="' + arg_val + '"' }}
                {%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{{- ")" }}
        {%- else %}{{- '{"name": "' + tool_call.name + '", ' }}{{- tool_call.arguments | tojson }}{{- "}" }}{%- endif %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}{{- message.content | tojson }}{%- else %}{{- message.content }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"""

THINKING = """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}{%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}{{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}{{- '<|im_start|>' + message.role + '\\n' + content }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '<tool_call>\\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
            {%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson(ensure_ascii=False) }}{%- endif %}{{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}{{- content }}{{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}"""

SCHEMA_MACROS = """{%- macro render_type(spec, required_params, is_nullable=false) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] -%}{{- render_type(spec['items'], required_params) }}[]{%- else -%}any[]{%- endif -%}
    {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and spec.type[0] is defined -%}
        {{- spec.type | join(" | ") }}
    {%- elif spec.oneOf -%}
        {%- for variant in spec.oneOf -%}{{- render_type(variant, required_params) -}}{%- if not loop.last %}{{- " | " }}{%- endif -%}{%- endfor -%}
    {%- elif spec.type == "object" and spec.properties -%}
        {{- "{\\n" }}{%- for name, prop in spec.properties.items() -%}{{- name -}}{%- if name not in (spec.required or []) -%}?{%- endif -%}: {{ render_type(prop, spec.required or []) }}{{- ",\\n" if not loop.last }}{%- endfor -%}}
    {%- else -%}{{- spec.type|default('any') }}{%- endif -%}
{%- endmacro -%}
{%- macro render_tools(namespace_name, tools) -%}
    {{- "## " + namespace_name + "\\n\\n" }}
    {%- for tool in tools %}{%- set tool = tool.function %}{{- "// " + tool.description + "\\n" }}{{- "type "+ tool.name + " = " }}
    {%- for param_name, param_spec in tool.parameters.properties|dictsort -%}{{- param_name + ": " + render_type(param_spec, tool.parameters.required) }}{%- endfor -%}{%- endfor %}
{%- endmacro -%}
{%- if tools -%}{{- render_tools("functions", tools) -}}{%- endif -%}
{%- set loop_messages = messages | rejectattr('role', 'equalto', 'system') | list -%}
{%- for message in loop_messages %}{{ message.content }}{% endfor %}"""

GENERATION = """{%- for message in messages -%}{%- if message.role == 'assistant' -%}
<|assistant|>{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}
{%- else -%}<|{{ message.role }}|>{{ message.content }}{%- endif -%}{%- endfor -%}"""

LOOP_CONTROLS = """{%- for message in messages %}{%- if message.role == 'system' %}{%- continue %}{%- endif %}
{%- if loop.index > 100 %}{%- break %}{%- endif %}{{ message.content }}{%- endfor %}"""

MULTIMODAL = """{% set image_count = namespace(value=0) %}{% set audio_count = namespace(value=0) %}{% for message in messages %}
{%- if message['content'] is string %}{{ message['content'] }}{% else %}{% for content in message['content'] %}
{%- if content['type'] == 'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}
{%- if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}{% endfor %}"""

ROLE_MAP = """{%- set role_map = {'user': '<start_of_turn>user', 'assistant': '<start_of_turn>model'} -%}
{%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' if messages[0]['content'] is not string else '' -%}
{%- for message in messages -%}{%- set role = message['role'] -%}{{ role_map[role] }}
{%- set ns = namespace(text='') -%}
{%- for item in message.content -%}{%- set ns.text = ns.text ~ item.text | trim -%}{%- endfor -%}
{{ ns.text if ns.text else message.content }}{{ '\\n' * 2 }}{%- endfor -%}"""

ARGUMENT_TAGS = """{%- macro render_extra_keys(json_dict, handled_keys) -%}
    {%- if json_dict is mapping %}{%- for json_key in json_dict if json_key not in handled_keys %}
        {%- if json_dict[json_key] is mapping or (json_dict[json_key] is sequence and json_dict[json_key] is not string) %}
            {{- '\\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | tojson | safe) ~ '</' ~ json_key ~ '>' }}
        {%- else %}{{-'\\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | string) ~ '</' ~ json_key ~ '>' }}{%- endif %}
    {%- endfor %}{%- endif %}
{%- endmacro %}
{%- for tool in tools %}{%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
    {{- '\\n<function>\\n<name>' ~ tool.name ~ '</name>' }}
    {%- for param_name, param_fields in tool.parameters.properties|items %}{%- set handled_keys = ['name', 'type', 'description'] %}
        {{- render_extra_keys(param_fields, handled_keys) }}{%- endfor %}
{%- endfor %}
{%- for m in messages %}{% set _args = tc.arguments %}{% for k, v in _args.items() %}<arg_key>{{ k }}</arg_key>{{ v | tojson(ensure_ascii=False) if v is not string else v }}{% endfor %}{%- endfor %}"""

MISTRAL_LIKE = """{%- if messages[0]["role"] == "system" %}{%- set system_message = messages[0]["content"] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}{{- raise_exception("After the optional system message, conversation roles must alternate") }}{%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}{%- set tool = tool.function %}{{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}{{- "}}" }}
            {%- endfor %}{{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
    {%- elif message.role == "tool" %}
        {%- if not message.tool_call_id is defined or message.tool_call_id|length != 9 %}{{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}{%- endif %}
        {%- set content = message.content if message.content is not mapping else message.content.content %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
    {%- endif %}
{%- endfor %}"""

DEEPSEEK_LIKE = """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{%- set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='', is_first_sp=true) %}
{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}
{%- else %}{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}
{%- for message in messages %}{%- if message['role'] == 'assistant' and 'tool_calls' in message %}{%- set ns.is_tool = false -%}
{%- for tool in message['tool_calls'] %}{%- if not ns.is_first %}{{'<\uff5ctool\u2581calls\u2581begin\uff5c>' + tool['type'] + tool['function']['name'] + '\\n' + '```json' + '\\n' + tool['function']['arguments'] + '\\n' + '```'}}{%- set ns.is_first = true -%}{%- endif %}{%- endfor %}{%- endif %}{%- endfor %}"""

COUNTDOWN = """{%- for i in range(0, messages|length, 2) %}{{ messages[i].content }}{{ messages[i + 1].content if i + 1 < messages|length }}{% endfor %}
{%- for i in range(5) %}{{ '-' * 20 }}{% endfor %}{% set last = messages[messages|length - 1] %}{{ last.content[-1] | upper }}"""

DOCUMENTS = """{%- macro document_turn(documents) -%}{%- for doc in documents %}
<results>{{ loop.index0 }}: {% for key, value in doc.items() %}{{ key|title }}: {{ value|string|indent(4) }}
{% endfor %}</results>{%- endfor %}{%- endmacro %}{%- set regen = messages | map(attribute='content') | first | default('', true) %}
{{- document_turn(documents) if documents else '' }}{{ {'a': 1} | tojson }}{% filter trim %} {{ regen }} {% endfilter %}"""

SPLIT_AND_JOINED = """{%- for message in messages %}{%- set content = message.content %}{%- set pos = content.find('<tool_call>') %}
{%- if pos > 0 %}{%- set content = content[:pos] + '</think>' + content[pos:] -%}{%- endif %}
{%- if content|length > 4000 %}{%- set content = content[:4000] + '[cut, ' ~ (content | length | string) ~ ' chars]' %}{%- endif %}
{{- content }}{%- endfor %}"""

REPAIRED_THINKING = """{%- for message in messages %}{%- set content = message.content %}{%- if '<think>' in content %}
{%- set _head = content.split('<think>')[0] %}{%- set _tail = content.split('<think>')[1] %}
{%- set _pre = _tail.split('<tool_call>')[0] %}{%- set _post = _tail.split('<tool_call>')[1] %}
{%- set content = _head + '<think>' + _pre + '</think>' + '<tool_call>' + _post %}{%- endif %}{{- content }}{%- endfor %}"""

UNDERSCORES = """{%- for tool in tools %}{{ tool.name | replace('_', '-') }} {{ 'mcp__' ~ tool.name.split('__')[0] }}{% endfor %}
{%- for _ in range(3) %}.{% endfor %}{% set _type = messages[0]['content_type'] %}{{ _type }}"""

ROLE_WORDS = """{%- set role_words = {'user': '[|user|]', 'system': '[|system|]'} -%}{{ role_words['system'] + messages[0].content }}
{%- for name, field in tools[0].function.parameters.properties.items() %}{{ name }}{% if field.format %} ({{ field.format }}){% endif %}
{%- endfor %}{{ messages[0]['format'] }}"""

ALL = {name: text for name, text in list(globals().items()) if name.isupper() and isinstance(text, str)}
