;; A component that exports a function, but none that the platform could call.
(component
  (core module $code
    (func (export "answer") (result i32) (i32.const 42)))
  (core instance $instance (instantiate $code))
  (func (export "answer") (result s32) (canon lift (core func $instance "answer"))))
