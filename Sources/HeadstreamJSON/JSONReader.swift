package struct JSONReader {}
