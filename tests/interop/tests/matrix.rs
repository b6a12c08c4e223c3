//! The official JavaScript clients 4.8, 3.1, 2.5 and 1.7 and both forms of the Python client against
//! our server: the same steps on every transport.
#![expect(clippy::print_stdout, reason = "the table is what this test is for")]

use interop::matrix::Matrix;

const SERVER: &str = env!("CARGO_BIN_EXE_interop-server");

#[test]
fn every_client_takes_every_step_on_every_transport() {
    let outputs = [
        interop::javascript_matrix(SERVER),
        interop::python_matrix(SERVER),
    ];
    let cells: String = outputs.iter().map(|output| output.text.as_str()).collect();
    let matrix = Matrix::read(&cells);
    println!("{matrix}");
    let errors: Vec<_> = outputs
        .iter()
        .map(|output| output.errors.as_str())
        .collect();
    let problems = matrix.problems();
    assert!(
        problems.is_empty(),
        "{}\n{}",
        problems.join("\n"),
        errors.join("\n")
    );
}
