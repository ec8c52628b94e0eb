//! The program alone has no quantiser, and says where there is one.

use crate::common::{data_dir, net, path, run, stderr};

#[test]
fn without_python_the_command_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("small.int8.onnx");
    let told = run(&[
        "quantise",
        path(net()),
        "--data",
        path(&data_dir()),
        "-o",
        path(&output),
    ]);
    let text = stderr(&told);
    assert_eq!(told.status.code(), Some(1), "{text}");
    assert!(text.contains("has no quantiser of its own"), "{text}");
    assert!(text.contains("pip install './python[quantise]'"), "{text}");
    assert!(!output.exists());
}
