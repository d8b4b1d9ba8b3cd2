//! Generation of text.

use std::ops::ControlFlow;

use mc_runtime::accuracy::{self, Question};
use mc_runtime::cancellation::Cancellation;
use mc_runtime::generate::{self, GenerateOptions, Generated, StopReason};
use mc_runtime::logits::LogitPositions;
use mc_runtime::model::Model;
use mc_runtime::sampler::Sampling;

use crate::toy;

fn run(model: &Model, sampling: Sampling, max_tokens: usize, stop: Vec<u32>) -> Generated {
    let options = GenerateOptions { sampling, max_tokens, stop };
    generate::generate(model, &[3, 1, 4], &options, |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn greedy_generation_takes_the_likeliest_token_each_time() {
    let model = toy::model(toy::decoder());
    let generated = run(&model, Sampling::Greedy, 10, Vec::new());
    assert_eq!(generated.stop_reason, StopReason::MaxTokens);
    let mut tokens = vec![3, 1, 4];
    for _ in 0..10 {
        let mut cache = model.new_cache(tokens.len());
        let logits = model.forward(&tokens, &mut cache, &LogitPositions::Last, None).unwrap();
        let best = logits.row(0).iter().copied().fold(f32::NEG_INFINITY, f32::max);
        tokens.push(logits.row(0).iter().position(|logit| *logit == best).unwrap() as u32);
    }
    assert_eq!(generated.tokens, tokens[3..]);
}

#[test]
fn a_stop_token_ends_the_text_and_is_left_out() {
    let model = toy::model(toy::decoder());
    let free = run(&model, Sampling::Greedy, 10, Vec::new()).tokens;
    let stop = free[4];
    let first = free.iter().position(|token| *token == stop).unwrap();
    let stopped = run(&model, Sampling::Greedy, 10, vec![99, stop]);
    assert_eq!(stopped, Generated { tokens: free[..first].to_vec(), stop_reason: StopReason::Stop(stop) });
}

#[test]
fn a_full_context_and_a_callback_end_the_text() {
    let model = toy::model(toy::decoder());
    let full = run(&model, Sampling::Greedy, 1000, Vec::new());
    assert_eq!((full.tokens.len(), full.stop_reason), (78, StopReason::ContextFull));
    let options = GenerateOptions { sampling: Sampling::Greedy, max_tokens: 9, stop: Vec::new() };
    let mut n = 0;
    let cancelled = generate::generate(&model, &[1], &options, |_| {
        n += 1;
        if n == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let cancelled = cancelled.unwrap();
    assert_eq!((cancelled.tokens.len(), cancelled.stop_reason), (3, StopReason::Cancelled));
    assert!(run(&model, Sampling::Greedy, 0, Vec::new()).tokens.is_empty());
}

#[test]
fn a_seed_decides_the_text() {
    let model = toy::model(toy::decoder());
    let sample = |seed| {
        let sampling = Sampling::Random { temperature: 1.2, top_k: Some(20), top_p: 0.95, seed };
        run(&model, sampling, 30, Vec::new()).tokens
    };
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
}

#[test]
fn answers_come_in_the_order_of_the_questions_and_depend_on_nothing_else() {
    let model = toy::model(toy::decoder());
    let questions: Vec<Question> =
        (1..20).map(|n| Question { prompt: toy::tokens(n), max_tokens: n % 7 }).collect();
    let answers = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| accuracy::answers(&model, &questions, &[5], Cancellation::NEVER).unwrap())
    };
    let alone: Vec<Generated> = questions
        .iter()
        .map(|question| {
            accuracy::answers(&model, std::slice::from_ref(question), &[5], Cancellation::NEVER)
                .unwrap()
                .remove(0)
        })
        .collect();
    assert_eq!(answers(1), alone);
    assert_eq!(answers(3), alone);
    let empty = Question { prompt: Vec::new(), max_tokens: 3 };
    assert!(accuracy::answers(&model, &[empty], &[], Cancellation::NEVER).is_err());
}

#[test]
fn a_cache_that_is_cut_back_continues_as_one_that_is_new() {
    let model = toy::model(toy::decoder());
    let options = GenerateOptions { sampling: Sampling::Greedy, max_tokens: 6, stop: Vec::new() };
    let go_on = |_| ControlFlow::Continue(());
    let first = [3, 1, 4, 1, 5];
    for n_common in [0, 1, 3, 5] {
        let mut cache = model.new_cache(model.context_length());
        generate::generate_after(Cancellation::NEVER, &model, &mut cache, &first, &options, go_on).unwrap();
        // Every token but the last, because its successor was not needed.
        assert_eq!(cache.n_positions(), first.len() + 5);
        let next = [&first[..n_common], &[9, 2, 6]].concat();
        cache.truncate(n_common).unwrap();
        let rest = &next[n_common..];
        let continued =
            generate::generate_after(Cancellation::NEVER, &model, &mut cache, rest, &options, go_on).unwrap();
        assert_eq!(continued, generate::generate(&model, &next, &options, go_on).unwrap());
    }
}
