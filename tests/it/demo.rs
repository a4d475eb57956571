//! The main job: the demo's script through the whole program.

use serde_json::Value;

/// As much of the demo as an emulator plays within minutes.
const A_SHAPE_AND_A_MOVEMENT: &str = "size 320x240; fps 15; wait 0.5s; fist 1s; swipe-left";

/// As `palmd demo` with its own script; nine in ten of its gestures must be recognised, and
/// nothing else.
#[test]
fn the_demo_is_recognised() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let truth = folder.path().join("truth.json");
    let mut demo = super::palmd();
    demo.args(["demo", "--fast", "--truth"]).arg(&truth);
    if super::emulator().is_some() {
        demo.args(["--script", A_SHAPE_AND_A_MOVEMENT]);
    }
    let done = demo.output().expect("palmd runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");

    let truth = std::fs::read(truth).expect("the truth");
    let truth: Value = serde_json::from_slice(&truth).expect("JSON");
    let intervals = truth["intervals"].as_array().expect("intervals");
    let mut hit = vec![false; intervals.len()];
    let mut wrong = Vec::new();
    for line in String::from_utf8(done.stdout).expect("text").lines() {
        let event: Value = serde_json::from_str(line).expect("NDJSON");
        if event["type"] != "gesture" || event["phase"] != "start" {
            continue;
        }
        let t = event["t"].as_f64().expect("a time");
        let found = intervals.iter().position(|i| {
            let at = |key: &str| i[key].as_f64().expect("a time");
            i["gesture"] == event["gesture"] && (at("start") - 0.1..=at("end") + 0.7).contains(&t)
        });
        match found {
            Some(i) => hit[i] = true,
            None => wrong.push(line.to_owned()),
        }
    }
    let hits = hit.iter().filter(|&&h| h).count();
    assert!(wrong.is_empty(), "{wrong:#?}\n{said}");
    assert!(
        hits * 10 >= hit.len() * 9,
        "{hits} of {}\n{said}",
        hit.len()
    );
    // The program's own summary says the same.
    let summary = format!("{hits} of {} gestures recognised", hit.len());
    assert!(said.contains(&summary), "{summary}: {said}");
}
