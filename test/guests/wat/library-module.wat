;; A core module without _start.
(module
  (memory (export "memory") 1)
  (func (export "answer") (result i32) (i32.const 42)))
