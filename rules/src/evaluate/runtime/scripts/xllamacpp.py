import xllamacpp

[FILE] = files(".gguf")
PARAMETERS = xllamacpp.CommonParams()
PARAMETERS.model.path = FILE
PARAMETERS.n_ctx = max(len(prompt) for prompt in REQUEST["prompts"]) + REQUEST["max_tokens"] + 8
PARAMETERS.n_parallel = 1
PARAMETERS.warmup = False
SERVER = xllamacpp.Server(PARAMETERS)

for prompt in REQUEST["prompts"]:
    found = SERVER.handle_completions(
        {
            "prompt": prompt,
            "n_predict": REQUEST["max_tokens"],
            "temperature": 0,
            "n_probs": 1,
            "cache_prompt": False,
        }
    )
    content = (found["choices"][0].get("logprobs") or {}).get("content") or []
    best = [step["top_logprobs"][0] for step in content if step["top_logprobs"]]
    # The server leaves out the token that ends an answer.
    tell([token["id"] for token in best], [min(token["logprob"], 0.0) for token in best])
